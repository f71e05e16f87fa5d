from __future__ import annotations

import msgspec
import pytest

from pneumo_edge.manifest import (
    MEMBER_NAMES,
    Figures,
    InputContract,
    Manifest,
    Measure,
    Member,
    ParityRow,
)
from train.card import figures_row, formula, render_card

POINTS = {"paper": 0.5, "balanced": 0.6123, "screening": 0.3456}


class Numbers:
    """Figures no two of which are alike."""

    def __init__(self) -> None:
        self.last = 0.1

    def next(self) -> float:
        self.last = round(self.last + 0.0007, 4)
        return self.last

    def measure(self) -> Measure:
        return Measure(value=self.next(), low=self.next(), high=self.next())


def rows(split: str, n: int, numbers: Numbers) -> list[Figures]:
    subjects = [("fused", point) for point in POINTS] + [(name, "paper") for name in MEMBER_NAMES]
    return [
        Figures(
            subject=subject,
            precision=precision,
            split=split,
            operating_point=point,
            threshold=POINTS[point],
            n=n,
            auc=numbers.measure(),
            accuracy=numbers.measure(),
            sensitivity=numbers.measure(),
            specificity=numbers.measure(),
            f1=numbers.measure(),
        )
        for precision in ("float32", "int8")
        for subject, point in subjects
    ]


@pytest.fixture
def manifest() -> Manifest:
    numbers = Numbers()
    trained = {
        name: {
            "init": f"weights of {name}",
            "frozen_layers": 11 + k,
            "learning_rate": 1e-5 * (k + 1),
            "epochs": 21 + k,
            "minutes": 31.5 + k,
        }
        for k, name in enumerate(MEMBER_NAMES)
    }
    return Manifest(
        schema=1,
        id="0123456789ab",
        created="2026-02-03",
        files={},
        input=InputContract(rows=150, cols=150, channels=1, dtype="uint8"),
        members=[
            Member(name=name, file=f"{name}.tflite", weight=0.1234 + k, scheme="static-int8")
            for k, name in enumerate(MEMBER_NAMES)
        ],
        bias=-0.0567,
        head="head.tflite",
        operating_points=POINTS,
        evaluation_order=list(MEMBER_NAMES),
        figures=rows("test", 624, numbers) + rows("elsewhere", 432, numbers),
        parity=[
            ParityRow(
                subject=subject,
                n=624,
                mean_abs_dp=numbers.next(),
                worst_abs_dp=numbers.next(),
                auc_float=numbers.next(),
                auc_int8=numbers.next(),
                flips={"paper": 3 + k},
            )
            for k, subject in enumerate(("fused", *MEMBER_NAMES))
        ],
        provenance={
            "data": {
                "name": "kermany",
                "source": "Kermany et al. 2018, CC BY 4.0.",
                "films": 5232,
                "patients": 3669,
                "normal": 1349,
                "pneumonia": 3883,
                "folds": 5,
            },
            "recipe": {"name": "best", "digest": "fedcba9876543210", "seed": 77},
            "members": trained,
            "fusion": {"films": 1047, "folds": ["0"]},
        },
    )


def test_the_card_holds_every_figure_of_the_manifest(manifest: Manifest) -> None:
    card = render_card(manifest)
    for row in manifest.figures:
        for name in ("auc", "accuracy", "sensitivity", "specificity", "f1"):
            measure = getattr(row, name)
            assert f"{measure.value:.4f} ({measure.low:.4f} to {measure.high:.4f})" in card
        assert f"{row.n} films" in card
        assert figures_row(row) in card
    for parity in manifest.parity:
        for value in (
            parity.mean_abs_dp,
            parity.worst_abs_dp,
            parity.auc_float,
            parity.auc_int8,
        ):
            assert f"{value:.4f}" in card
        assert f"paper {parity.flips['paper']}" in card
    for member in manifest.members:
        assert f"{member.weight:.4f} {member.name}" in card
    for point, threshold in manifest.operating_points.items():
        assert f"| `{point}` | {threshold:.4f} |" in card


def test_the_recipes_remark_is_told_where_there_is_one(manifest: Manifest) -> None:
    told = "Chosen after a look at test films."
    recipe = manifest.provenance["recipe"] | {"remark": told}
    remarked = msgspec.structs.replace(
        manifest, provenance=manifest.provenance | {"recipe": recipe}
    )
    assert told in render_card(remarked)
    plain = render_card(manifest)
    assert plain == render_card(remarked).replace(f" {told}", "")


def test_the_card_says_by_view_what_it_says_of_films_from_elsewhere(manifest: Manifest) -> None:
    numbers = Numbers()
    numbers.last = 0.6
    views = [
        msgspec.structs.replace(row, split=f"elsewhere/view/{view}")
        for view, n in (("AP", 281), ("PA", 151))
        for row in rows("elsewhere", n, numbers)
        if (row.subject, row.precision) == ("fused", "int8")
    ]
    card = render_card(msgspec.structs.replace(manifest, figures=[*manifest.figures, *views]))
    for row in views:
        assert f"| {row.split[-2:]} | {row.n} {figures_row(row)}" in card
    assert card.count("## Figures on films from elsewhere") == 1


@pytest.mark.parametrize(
    ("low", "told"), [(0.47, "not shown to be better than a coin"), (0.51, "AUC of 0.6000 (0.51")]
)
def test_the_card_says_plainly_whether_films_from_elsewhere_are_told_apart(
    low: float, told: str, manifest: Manifest
) -> None:
    auc = Measure(value=0.6, low=low, high=0.7)
    changed = [
        msgspec.structs.replace(row, auc=auc)
        if (row.subject, row.split) == ("fused", "elsewhere")
        else row
        for row in manifest.figures
    ]
    assert told in render_card(msgspec.structs.replace(manifest, figures=changed))


def test_a_negative_term_has_one_sign(manifest: Manifest) -> None:
    card = render_card(manifest)
    assert "3.1234 xception - 0.0567, where" in card
    assert formula({"a": -0.5, "b": -0.25}, 0.125) == "y = -0.5000 a - 0.2500 b + 0.1250"


def test_the_card_tells_where_the_bundle_comes_from(manifest: Manifest) -> None:
    card = render_card(manifest)
    for told in (
        "0123456789ab",
        "2026-02-03",
        "5232 films of 3669 patients (1349 normal",
        "3883 pneumonia",
        "CC BY 4.0",
        "`best`",
        "seed 77",
        "1047 films",
        "Zhong",
    ):
        assert told in card
    for name, member in manifest.provenance["members"].items():
        assert f"| {name} | {member['init']} | {member['frozen_layers']} |" in card
        assert f"| {member['epochs']} | {member['minutes']} |" in card


def test_the_card_says_what_the_bundle_is_not(manifest: Manifest) -> None:
    card = render_card(manifest)
    assert "not a medical device" in card
    assert "children" in card
    assert "not a calibrated probability" in card


def test_a_bundle_that_was_not_measured_says_so(manifest: Manifest) -> None:
    card = render_card(msgspec.structs.replace(manifest, figures=[], parity=[]))
    assert "Not measured" in card
    assert "What quantization changed" not in card
