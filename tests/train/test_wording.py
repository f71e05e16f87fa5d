from __future__ import annotations

import msgspec
import pytest

from pneumo_edge.manifest import Measure
from train.published import PAPER, PAPER_WEIGHTS
from train.recipe import BASELINE, load_recipe
from train.summary import Summary
from train.wording import films, fraction, fraction_cell, p_value, percent, percent_cell, verdict

MEASURE = Measure(value=0.8574, low=0.82959, high=0.8)


def test_shares_are_per_cent_and_areas_are_fractions() -> None:
    assert percent(MEASURE) == "85.7 % (83.0 to 80.0)"
    assert percent_cell(MEASURE).markup == "85.7 <small>(83.0 to 80.0)</small>"
    assert fraction(MEASURE) == "0.857 (0.830 to 0.800)"
    assert fraction_cell(MEASURE).markup == "0.857 <small>(0.830 to 0.800)</small>"


@pytest.mark.parametrize(
    ("p", "said"), [(1e-9, "p < 0.0001"), (0.0156, "p = 0.0156"), (1.0, "p = 1.0000")]
)
def test_no_p_value_is_zero(p: float, said: str) -> None:
    assert p_value(p) == said


def test_a_verdict_says_what_the_test_says(summary: Summary) -> None:
    row = summary.ensembles[0].comparisons[0]
    assert "no difference is shown" in verdict(msgspec.structs.replace(row, p_value=0.3))
    assert "luck alone would seldom do that" in verdict(msgspec.structs.replace(row, p_value=0.01))


def test_unreadable_files_are_counted(summary: Summary) -> None:
    split = summary.splits[0]
    assert "unreadable" not in films(split)
    assert "; 2 unreadable files left out" in films(msgspec.structs.replace(split, skipped=2))


def test_the_paper_has_a_row_for_every_model_that_its_recipe_trains() -> None:
    members = set(load_recipe("paper").members)
    assert {row.subject for row in PAPER} == members | {"fused"}
    assert {row.table for row in PAPER if row.subject in (BASELINE, "fused")} == {4}
    assert set(PAPER_WEIGHTS) < members
    for row in PAPER:
        # A harmonic mean with the recall gives a precision that there can be.
        assert 0 < 1 / (2 / row.f1 - 1 / row.recall) <= 1
