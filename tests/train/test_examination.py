from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pneumo_edge.errors import BundleError, PneumoEdgeError, RecipeError
from pneumo_edge.manifest import Figures, Measure
from train.examination import EvaluationOptions, differences, examine

MEASURE = Measure(value=0.9, low=0.8, high=0.95)
ROW = Figures(
    subject="fused",
    precision="int8",
    split="test",
    operating_point="paper",
    threshold=0.5,
    n=624,
    auc=MEASURE,
    accuracy=MEASURE,
    sensitivity=MEASURE,
    specificity=MEASURE,
    f1=MEASURE,
)


def options(data: Path, **changes: object) -> EvaluationOptions:
    values = {"run": None, "bundle": None, "check": False, "output": None, "patient": None}
    return EvaluationOptions(data, **(values | changes))  # type: ignore[arg-type]


def test_equal_figures_differ_in_nothing() -> None:
    screening = msgspec.structs.replace(ROW, operating_point="screening")
    assert differences([ROW, screening], [screening, ROW]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"n": 623},
        {"threshold": 0.51},
        {"accuracy": Measure(value=0.9001, low=0.8, high=0.95)},
        {"f1": Measure(value=0.9, low=0.8, high=0.9501)},
    ],
)
def test_any_other_figure_is_a_difference(change: dict[str, object]) -> None:
    claimed = msgspec.structs.replace(ROW, **change)
    (found,) = differences([ROW], [claimed])
    assert found.startswith("fused at paper: measured accuracy 0.9, AUC 0.9; the manifest says")


def test_a_row_on_one_side_alone_is_a_difference() -> None:
    other = msgspec.structs.replace(ROW, subject="vgg16")
    assert differences([ROW, other], [ROW]) == ["the manifest has no figures of vgg16 at paper"]
    assert differences([ROW], [ROW, other]) == ["the manifest claims vgg16 at paper, not measured"]


def test_a_float_run_has_no_manifest_to_be_checked_with(data: Path) -> None:
    with pytest.raises(RecipeError, match="--check compares a bundle with its manifest"):
        examine(options(data, run=Path("run"), check=True))


def test_a_bundle_that_claims_other_figures_fails_the_check(
    data: Path, shipped_bundle: Path
) -> None:
    """It was not made from these films, so it cannot measure as it claims."""
    with pytest.raises(BundleError, match="does not measure as it claims"):
        examine(options(data, bundle=shipped_bundle, check=True))


def test_figures_are_shown_whole_and_written_as_json(
    data: Path, shipped_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = examine(options(data, bundle=shipped_bundle, output=tmp_path / "figures.json"))
    written = json.loads((tmp_path / "figures.json").read_text())
    assert msgspec.convert(written, list[Figures]) == rows
    shown = capsys.readouterr().out
    assert "10 films of test" in shown
    for row in rows:
        assert f"{row.auc.value:.3f} ({row.auc.low:.3f}-{row.auc.high:.3f})" in shown
    with pytest.raises(PneumoEdgeError, match=r"nowhere.* cannot be written.*--json"):
        examine(options(data, bundle=shipped_bundle, output=tmp_path / "nowhere/figures.json"))


def test_a_film_that_cannot_be_read_is_told(
    make_films: Callable[..., Path],
    shipped_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_films(tmp_path / "films", 17, 1, seed=3)
    (tmp_path / "films/NORMAL/IM-0003-0000.png").write_bytes(b"")
    rows = examine(options(tmp_path / "films", bundle=shipped_bundle))
    assert rows[0].n == 33
    assert "IM-0003-0000.png" in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_bundle_measures_on_the_official_test_films_what_its_card_says(
    shared_data: Path, shipped_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = examine(options(shared_data / "kermany", bundle=shipped_bundle, check=True))
    assert {row.n for row in rows} == {624}
    assert "equal the manifest's and the model card's" in " ".join(capsys.readouterr().err.split())
