"""A gate fitted on drawn films passes others like them, refuses others, and notices how they lie."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from convert import gate_fit
from convert.gate_films import Source
from convert.gate_fit import examine, figures, fit_gate, noticed_poses
from pneumo_edge.gate.statistics import Statistics, decode_statistics
from pneumo_edge.types import InputTensor


def chests(count: int, seed: int) -> NDArray[np.uint8]:
    """(count, 150, 150, 1): bright with two dark lungs, a heart on the right below, a dark neckless top."""
    rng = np.random.default_rng(seed)
    films = []
    for _ in range(count):
        film = np.full((150, 150), 170.0, np.float32)
        film[:18] = 60
        for middle in (48, 102):
            centre = (int(middle + rng.integers(-4, 5)), int(78 + rng.integers(-4, 5)))
            cv2.ellipse(film, centre, (20, int(rng.integers(40, 50))), 0, 0, 360, 70, -1)
        cv2.circle(film, (88, 105), int(rng.integers(17, 22)), 215, -1)
        noisy = cv2.GaussianBlur(film, (0, 0), 2) + rng.normal(0, 4, film.shape)
        films.append(noisy.clip(0, 255))
    return np.stack(films)[..., None].astype(np.uint8)


def pages(count: int) -> NDArray[np.uint8]:
    """(count, 150, 150, 1) of stripes."""
    rng = np.random.default_rng(1)
    films = np.full((count, 150, 150, 1), 240, np.uint8)
    for film in films:
        for row in range(int(rng.integers(3, 8)), 150, int(rng.integers(7, 11))):
            film[row : row + 3, 10 : int(rng.integers(60, 140))] = 20
    return films


def features(tensor: InputTensor) -> NDArray[np.float32]:
    """(1, 5, 5, 24) in place of a member's: what filters of several kinds answer, rectified."""
    film = (tensor.pixels[0, :, :, 0].astype(np.float32) - 128) / 32
    maps = []
    for kind in range(24):
        kernel = np.random.default_rng(kind).normal(0, 0.2, (5, 5)).astype(np.float32)
        answer = np.maximum(cv2.filter2D(film, -1, kernel), 0)
        maps.append(cv2.resize(answer, (5, 5), interpolation=cv2.INTER_AREA))
    return np.stack(maps, -1).astype(np.float32)[None]


def quiet(_what: str, _steps: int) -> object:
    return lambda _count: None


@pytest.fixture(scope="module")
def fitted() -> tuple[Statistics, dict[str, int]]:
    both = [
        Source("train", chests(240, 1), chests(90, 2)),
        Source("other", chests(60, 3), chests(40, 4)),
    ]
    return fit_gate(both, "resnet50", features, 3, quiet)  # type: ignore[arg-type]


def none(_count: int) -> None:
    pass


def test_films_alike_pass_and_pages_do_not(fitted: tuple[Statistics, dict[str, int]]) -> None:
    statistics, counts = fitted
    assert counts == {"train": 240, "other": 60}
    alike = examine(statistics, "alike", chests(100, 9), features, none)
    assert alike.n == 100
    assert alike.refused <= 5
    assert alike.corrected == 0
    other = examine(statistics, "pages", pages(30), features, none)
    assert other.refused == 30


def test_how_a_film_lies_is_noticed(fitted: tuple[Statistics, dict[str, int]]) -> None:
    found = noticed_poses(fitted[0], chests(60, 11), 1)
    for change in ("rotated by 90 degrees", "rotated by 180 degrees", "rotated by 270 degrees"):
        assert found[change] > 0.95
    assert found["inverted"] > 0.95
    assert set(found) == {*gate_fit.NAMED, "cropped"}


def test_thresholds_are_the_quantiles_of_the_hardest_source(
    fitted: tuple[Statistics, dict[str, int]],
) -> None:
    statistics, _ = fitted
    rows = [
        statistics.subspace.residual(gate_fit.pooled_features(films, features, none))
        for films in (chests(90, 2), chests(40, 4))
    ]
    assert statistics.refuse_at == pytest.approx(
        max(np.quantile(r, 1 - gate_fit.REFUSED) for r in rows), rel=0.02
    )
    assert statistics.warn_at == pytest.approx(
        max(np.quantile(r, 1 - gate_fit.WARNED) for r in rows), rel=0.02
    )


def test_what_is_stored_gives_the_same_verdicts(fitted: tuple[Statistics, dict[str, int]]) -> None:
    statistics, counts = fitted
    back = decode_statistics(statistics.encode())
    films = {"alike": chests(30, 12)}
    told = [figures(s, counts, films, features, 1, quiet) for s in (statistics, back)]  # type: ignore[arg-type]
    assert told[0].rows[0].refused == told[1].rows[0].refused
    assert told[0].noticed["alike"]["inverted"] == told[1].noticed["alike"]["inverted"]
    assert told[1].films == {"train": 240, "other": 60}
