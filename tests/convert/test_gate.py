"""A bundle carries the gate that it was converted with, and gets another one without a change of its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convert.gate import GateOptions, refit
from convert.gate_films import LEAST
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import BundleError, DatasetError
from pneumo_edge.gate.statistics import FILE, read_statistics
from pneumo_edge.gate.verdict import Gate
from train.dataset import KERMANY


def quiet(_what: str, _steps: int) -> Any:
    return lambda _count: None


def options(bundle: Path, out: Path, data: Path, **changes: Any) -> GateOptions:
    given: dict[str, Any] = {
        "bundle": bundle, "out": out, "data": data, "folders": (), "external": None,
        "patient": KERMANY, "seed": 4, "threads": 2, "force": False,
    }  # fmt: skip
    return GateOptions(**(given | changes))


def test_a_converted_bundle_has_its_gate(converted: Any) -> None:
    bundle = load_bundle(converted.bundle)
    statistics = read_statistics(bundle)
    assert statistics is not None
    assert Gate.of(bundle).member == "resnet50"
    told = bundle.manifest.gate
    assert told is not None
    assert list(told.films) == ["train"]
    assert [row.name for row in told.rows] == ["held-out train", "test"]
    assert "## The gate" in (converted.bundle / "MODEL_CARD.md").read_text()


def test_without_a_gate_the_card_says_so(
    converted: Any, tmp_path: Path, options_for: Any, run: Any, data: Path
) -> None:
    from convert.conversion import convert

    convert(options_for(run, data, tmp_path / "bare", gate=False), quiet)
    bare = load_bundle(tmp_path / "bare")
    assert FILE not in bare.manifest.files
    assert bare.manifest.gate is None
    card = (tmp_path / "bare" / "MODEL_CARD.md").read_text()
    assert "no statistics for the gate" in card
    assert bare.id != load_bundle(converted.bundle).id

    manifest = refit(options(tmp_path / "bare", tmp_path / "fitted", data), quiet)
    fitted = load_bundle(tmp_path / "fitted")
    assert fitted.id == manifest.id != bare.id
    same = set(bare.manifest.files) - {"MODEL_CARD.md"}
    assert {name: fitted.manifest.files[name] for name in same} == {
        name: bare.manifest.files[name] for name in same
    }
    assert fitted.manifest.figures == bare.manifest.figures
    assert read_statistics(fitted) is not None
    with pytest.raises(BundleError, match="exists"):
        refit(options(tmp_path / "bare", tmp_path / "fitted", data), quiet)


def test_too_few_films_write_nothing(converted: Any, tmp_path: Path, data: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "one.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=f"1 films of few to be fitted on, not {LEAST}"):
        refit(options(converted.bundle, tmp_path / "new", data, folders=(few,)), quiet)
    assert not (tmp_path / "new").exists()
