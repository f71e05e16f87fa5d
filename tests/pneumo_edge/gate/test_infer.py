"""The gate as `infer` has it, and beside early exit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.gate.distance import Subspace
from pneumo_edge.gate.statistics import FILE, Statistics
from pneumo_edge.measure import SAMPLES
from pneumo_edge.prepare import prepare
from pneumo_edge.screening import ready
from pneumo_edge.sources import Source

Cli = Callable[..., Any]
Make = Callable[[dict[str, bytes]], Bundle]


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    path = tmp_path / "blank.png"
    assert cv2.imwrite(str(path), np.full((200, 200), 99, np.uint8))
    return path


def test_what_is_no_film_gets_no_label_and_the_reason(cli: Cli, blank: Path) -> None:
    ran = cli("infer", blank, "--json")
    found = json.loads(ran.out)
    assert ran.code == 1
    assert found["label"] is None
    assert found["gate"]["verdict"] == "refuse"
    assert "hardly any contrast" in found["gate"]["reasons"][0]
    assert "--no-gate" in found["error"]["remedy"]


def test_no_gate_scores_everything(cli: Cli, blank: Path) -> None:
    ran = cli("infer", blank, "--json", "--no-gate")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert found["label"] in ("normal", "pneumonia")
    assert found["gate"] is None


def test_a_folder_goes_on_past_what_is_refused(cli: Cli, blank: Path, film: Path) -> None:
    ran = cli("infer", blank, film, "--csv", "-")
    head, *rows = (line.split(",") for line in ran.out.splitlines())
    told = {row[0]: row[head.index("gate")] for row in rows}
    assert ran.code == 1
    assert told[str(blank)] == "refuse"
    assert told[str(film)] in ("accept", "warn")


def test_features_too_far_away_are_refused_once_the_member_has_run(
    cli: Cli, statistics: Statistics, bundle_with: Make
) -> None:
    """Statistics of ResNet50's size in which nothing varies: every film is far from them."""
    nothing = Subspace(
        np.zeros(2048, np.float32), np.ones(2048, np.float32), np.zeros((2048, 1), np.float32), 1e-6
    )
    far = replace(statistics, subspace=nothing, correct_at=1.1)
    bundle = bundle_with({FILE: far.encode()})
    sample = SAMPLES / "normal.png"
    for more in ((), ("--early-exit",)):
        ran = cli("infer", sample, "--json", "--bundle", bundle.path, *more)
        found = json.loads(ran.out)
        assert ran.code == 1
        assert found["gate"]["distance"] > 1
        assert "does not look like a frontal chest radiograph" in found["error"]["what"]
    assert cli("infer", sample, "--bundle", bundle.path, "--no-gate").code == 0


@pytest.mark.parametrize("watched", ["vgg16", "xception"])
def test_the_watched_member_runs_first_and_early_exit_stays_exact(watched: str) -> None:
    bundle = load_bundle()
    ensemble = Ensemble(bundle, choose("cpu"), 1, watched=watched)
    for name in ("normal", "pneumonia"):
        tensor = ready(Source(str(SAMPLES / f"{name}.png"))).tensor
        early = ensemble.decide(tensor, 0.5, early_exit=True)
        whole = ensemble.decide(tensor, 0.5)
        assert early.members[0].name == watched
        assert early.label == whole.label
        assert [m.name for m in whole.members if m.pooled is not None] == [watched]
        assert early.members[0].pooled is not None


def test_the_same_film_is_prepared_the_same_with_a_gate_and_without(film: Path) -> None:
    from pneumo_edge.decode import decode_file
    from pneumo_edge.gate.verdict import Gate

    gated = ready(Source(str(film)), gate=Gate(None))
    np.testing.assert_array_equal(gated.tensor.pixels, prepare(decode_file(film)).pixels)
