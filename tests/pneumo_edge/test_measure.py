"""Engines are tried in processes of their own, and only those that answer well are taken."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pneumo_edge import engines, measure, threads
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.choice import Choice, Trial
from pneumo_edge.early_exit import search_order
from pneumo_edge.engines import choose, kind
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import EngineError
from pneumo_edge.held_out import FILE

# x3 decides alone or nothing does: whatever the costs, resnet50 is not last.
FILMS = np.random.default_rng(5).uniform(size=(200, 4)).astype(np.float32)


def held_out() -> bytes:
    out = io.BytesIO()
    np.savez(out, probabilities=FILMS, labels=np.zeros(len(FILMS), np.uint8))
    return out.getvalue()


@pytest.fixture
def found(
    bundle_with: Callable[[dict[str, bytes]], Bundle], monkeypatch: pytest.MonkeyPatch
) -> tuple[Bundle, Choice]:
    """cpu and gpu tried on one core, where no driver can be found."""
    for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setattr(engines, "KINDS", (kind("cpu"), kind("gpu")))
    monkeypatch.setattr(threads, "available", lambda: 1)
    monkeypatch.setattr(measure, "_LAPS_S", 0.1)
    bundle = bundle_with({FILE: held_out()})
    return bundle, measure.measure_all(bundle)


def test_what_works_is_timed_and_what_does_not_is_named(found: tuple[Bundle, Choice]) -> None:
    bundle, choice = found
    first = choice.trials[0]
    assert (first.engine, first.threads, first.side_by_side) == ("cpu", 1, 1)
    assert first.film_ms > 0
    assert set(first.members_ms) == set(bundle.manifest.evaluation_order)
    assert first.y[0] < 0.5 < first.y[1]
    assert [trial.engine for trial in choice.trials] == ["cpu"]
    assert [failure.engine for failure in choice.failures] == ["gpu"]
    assert (
        "no graphics card" in choice.failures[0].what or "not installed" in choice.failures[0].what
    )

    names = [member.name for member in bundle.manifest.members]
    fusion = Ensemble(bundle, choose("cpu"), 1).fusion
    costs = [first.members_ms[name] for name in names]
    for point, threshold in bundle.manifest.operating_points.items():
        order = search_order(fusion, FILMS, costs, threshold)
        assert first.orders[point] == [names[column] for column in order.members]


TRIAL = Trial(
    engine="cpu",
    threads=1,
    side_by_side=1,
    load_ms=1,
    film_ms=1,
    members_ms={},
    orders={},
    y=[0.2, 0.9],
)


def test_an_engine_that_answers_something_else_is_refused() -> None:
    measure._compare(msgspec.structs.replace(TRIAL, y=[0.29, 0.81]), [TRIAL])
    with pytest.raises(EngineError, match=r"gpu answers y = 0\.980 where cpu answers 0\.200"):
        measure._compare(msgspec.structs.replace(TRIAL, engine="gpu", y=[0.98, 0.9]), [TRIAL])


def test_one_that_hangs_or_dies_is_given_up() -> None:
    bundle = load_bundle()
    with pytest.raises(EngineError, match="took more than 0 s"):
        measure._apart(bundle, "cpu", 1, 1, 0.01)
    missing = Bundle(Path("/nowhere"), bundle.manifest, "")
    with pytest.raises(EngineError, match="cpu failed: there is no bundle at /nowhere"):
        measure._apart(missing, "cpu", 1, 1, 60)


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 16])
def test_no_layout_asks_for_more_cores_than_there_are(cores: int) -> None:
    tried = list(measure.layouts(cores))
    assert all(1 <= count * side <= cores for _, count, side in tried)
    assert all(side == 1 for name, _, side in tried if name == "gpu")
    assert len(set(tried)) == len(tried)
