from __future__ import annotations

import msgspec
import numpy as np
import pytest

from convert.parity import Answers, compare, over_budget
from pneumo_edge.manifest import ParityRow
from train.recipe import ParityBudget

FILMS = ["normal/a.png", "normal/b.png", "pneumonia/c.png", "pneumonia/d.png"]
LABELS = np.array([0, 0, 1, 1])
POINTS = {"paper": 0.5, "screening": 0.35}


def answers(y: list[float], *members: list[float]) -> Answers:
    return Answers(np.array(members, np.float64).T, np.array(y, np.float64))


EXACT = answers([0.1, 0.4, 0.6, 0.9], *[[0.2, 0.3, 0.7, 0.8]] * 4)
INT8 = answers([0.1, 0.6, 0.55, 0.34], [0.2, 0.3, 0.7, 0.8], *[[0.2, 0.6, 0.7, 0.8]] * 3)


def test_the_table_holds_what_can_be_counted_by_hand() -> None:
    rows, _ = compare(EXACT, INT8, LABELS, FILMS, POINTS)
    fused, vgg16, vgg19 = rows[:3]
    assert [row.subject for row in rows] == ["fused", "vgg16", "vgg19", "resnet50", "xception"]
    assert fused.n == 4
    assert fused.mean_abs_dp == pytest.approx((0 + 0.2 + 0.05 + 0.56) / 4)
    assert fused.worst_abs_dp == pytest.approx(0.56)
    assert fused.auc_float == 1.0
    assert fused.auc_int8 == 0.5  # of the four pairs c>a and d>a are right, c>b and d>b wrong
    assert fused.flips == {"paper": 2, "screening": 1}
    assert vgg16.flips == {"paper": 0}
    assert vgg16.worst_abs_dp == 0.0
    assert vgg19.flips == {"paper": 1}


def test_every_flip_names_its_film_and_both_values() -> None:
    _, flips = compare(EXACT, INT8, LABELS, FILMS, POINTS)
    fused = {
        (f.film, f.operating_point): (f.float32, f.int8) for f in flips if f.subject == "fused"
    }
    assert fused == {
        ("normal/b.png", "paper"): (0.4, 0.6),
        ("pneumonia/d.png", "paper"): (0.9, 0.34),
        ("pneumonia/d.png", "screening"): (0.9, 0.34),
    }


def test_equal_answers_flip_nothing() -> None:
    rows, flips = compare(EXACT, EXACT, LABELS, FILMS, POINTS)
    assert flips == []
    assert all(row.mean_abs_dp == 0 and not any(row.flips.values()) for row in rows)


def fused_row(rows: list[ParityRow], **changes: object) -> list[ParityRow]:
    """The rows with a fusion that keeps within every bar, but for `changes`."""
    within: dict[str, object] = {
        "n": 624,
        "auc_float": 0.97,
        "auc_int8": 0.9695,
        "mean_abs_dp": 0.003,
    }
    within |= {"worst_abs_dp": 0.03, "flips": {"paper": 1, "screening": 0}}
    return [msgspec.structs.replace(rows[0], **(within | changes)), *rows[1:]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, []),
        ({"auc_int8": 0.9722}, ["AUC off by 0.0022, above 0.001"]),
        ({"mean_abs_dp": 0.0132}, ["mean |dy| 0.0132, above 0.004"]),
        ({"worst_abs_dp": 0.131}, ["worst |dy| 0.1310, above 0.04"]),
        (
            {"flips": {"paper": 1, "screening": 2}},
            ["labels equal on 99.68% at screening, below 99.70%"],
        ),
    ],
)
def test_a_missed_bar_is_told_with_its_figure(changes: dict[str, object], told: list[str]) -> None:
    rows, _ = compare(EXACT, EXACT, LABELS, FILMS, POINTS)
    assert over_budget(fused_row(rows, **changes), ParityBudget()) == told
