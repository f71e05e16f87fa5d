"""pytest-benchmark suites: has a change made a part slower?

    pytest benchmarks/regressions.py --benchmark-autosave          # before the change
    pytest benchmarks/regressions.py --benchmark-compare --benchmark-compare-fail=median:10%

They are no part of `make test`, whose machine is shared: there each runs once, untimed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pneumo_edge.bundle import load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.heatmap import fuse
from pneumo_edge.manifest import MEMBER_NAMES
from pneumo_edge.measure import SAMPLES
from pneumo_edge.overlay import draw
from pneumo_edge.prepare import prepare
from pneumo_edge.screening import Screener
from pneumo_edge.sources import Source
from pneumo_edge.types import SIDE, Radiograph

FILM = SAMPLES / "normal.png"


@pytest.fixture(scope="module")
def detector_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of a detector's size, 2500 x 2048 at 12 bits, drawn by the sample's enlargement."""
    small = cv2.imread(str(FILM), cv2.IMREAD_GRAYSCALE)
    assert small is not None
    large = cv2.resize(small, (2048, 2500), interpolation=cv2.INTER_LINEAR).astype(np.uint16) * 16
    path = tmp_path_factory.mktemp("films") / "detector.png"
    assert cv2.imwrite(str(path), large)
    return path


def test_loading_the_bundle(benchmark: Any) -> None:
    assert benchmark(load_bundle).id


def test_decoding_a_detector_film(benchmark: Any, detector_film: Path) -> None:
    film: Radiograph = benchmark(decode_file, detector_film)
    assert film.pixels.shape == (2500, 2048)


def test_preparing_a_detector_film(benchmark: Any, detector_film: Path) -> None:
    tensor = benchmark(prepare, decode_file(detector_film))
    assert tensor.pixels.shape == (1, SIDE, SIDE, 1)


@pytest.mark.parametrize("member", MEMBER_NAMES)
def test_a_backbone(benchmark: Any, member: str) -> None:
    model = load_bundle().model(f"{member}.tflite")
    backbone = choose("cpu").backbone(model, member, 1)
    pixels = prepare(decode_file(FILM)).signed
    assert benchmark(backbone.features, pixels).shape[0] == 1


def test_the_ensemble(benchmark: Any) -> None:
    ensemble = Ensemble(load_bundle(), choose("cpu"), 1)
    ensemble.load()
    assert benchmark(ensemble.score, prepare(decode_file(FILM))).members


def test_the_ensemble_with_its_maps(benchmark: Any) -> None:
    ensemble = Ensemble(load_bundle(), choose("cpu"), 1, explains=True)
    ensemble.load()
    votes = benchmark(ensemble.score, prepare(decode_file(FILM)))
    assert votes.members[0].map is not None


def test_fusing_maps(benchmark: Any) -> None:
    ensemble = Ensemble(load_bundle(), choose("cpu"), 1, explains=True)
    votes = ensemble.score(prepare(decode_file(FILM)))
    assert benchmark(fuse, votes.members, ensemble.bundle.manifest).members


def test_drawing_the_overlay_of_a_detector_film(benchmark: Any, detector_film: Path) -> None:
    ensemble = Ensemble(load_bundle(), choose("cpu"), 1, explains=True)
    finding = Screener(ensemble, "paper", explains=True).screen(Source(str(detector_film)))
    assert finding.explanation is not None
    assert benchmark(draw, finding.explanation, finding).shape[1:] == (2048, 3)
