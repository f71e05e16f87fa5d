"""Bands hold what they state, and no narrower one would."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pneumo_edge.manifest import Band
from train.bands import band_figures, choose_band
from train.metrics import Scored


def films(ill: list[float], well: list[float]) -> Scored:
    labels = np.array([1] * len(ill) + [0] * len(well))
    return Scored(np.array(ill + well), labels, np.arange(len(labels)).astype(str))


def holds(sets: list[Scored], low: float, high: float, rate: float) -> bool:
    """The definition, counted film by film."""
    for one in sets:
        for label in (0, 1):
            y = one.scores[one.labels == label]
            wrong = int(((y > high) if label == 0 else (y < low)).sum())
            outside = int(((y > high) | (y < low)).sum())
            if (wrong + 1) > rate * (outside + 1) + 1e-9:
                return False
    return True


SCORES = st.lists(st.integers(-2, 12).map(lambda level: level / 10), min_size=1, max_size=12)
SETS = st.lists(st.builds(films, SCORES, SCORES), min_size=1, max_size=3)


@given(sets=SETS, threshold=st.integers(1, 9).map(lambda x: x / 10), rate=st.floats(0.05, 0.45))
def test_the_band_is_the_narrowest_of_all_that_hold(
    sets: list[Scored], threshold: float, rate: float
) -> None:
    found = choose_band(sets, threshold, rate)
    every = np.concatenate([one.scores for one in sets])
    lows = {threshold, *every[every <= threshold].tolist()}
    highs = {threshold, *every[every >= threshold].tolist()}
    holding = [ends for ends in itertools.product(lows, highs) if holds(sets, *ends, rate)]
    if found is None:
        assert not holding
        return
    assert found.low <= threshold <= found.high
    assert holds(sets, found.low, found.high, rate)
    for low, high in holding:
        assert low <= found.low, "another one begins nearer to the threshold"
        assert high >= found.high, "another one ends nearer to the threshold"


def test_a_worked_example() -> None:
    """100 of each class, 10 wrong each: at 5 % a class may keep (k + 1) / (m + 1), k = 3 of m = 93."""
    ill = [0.01 * k + 0.005 for k in range(10)] + [1.1] * 90
    well = [0.99 - 0.01 * k for k in range(10)] + [-0.1] * 90
    found = choose_band([films(ill, well)], 0.5, 0.05)
    assert found is not None
    assert found.low == pytest.approx(0.035)  # the fourth of those that are wrong
    assert found.high == pytest.approx(0.96)


def test_the_harder_set_decides() -> None:
    easy = films([0.9] * 99, [0.1] * 99)
    hard = films([0.3] * 9 + [0.9] * 90, [0.1] * 99)
    assert choose_band([easy], 0.5, 0.02) == Band(low=0.5, high=0.5)
    assert choose_band([easy, hard], 0.5, 0.02) == Band(low=0.3, high=0.5)
    assert choose_band([hard, easy], 0.5, 0.02) == Band(low=0.3, high=0.5)


def test_too_few_films_state_no_band() -> None:
    """Without an error among them, 48 films allow 1 / 49 > 2 %, and 49 films 1 / 50."""
    assert choose_band([films([0.9] * 49, [0.1] * 48)], 0.5, 0.02) is None
    assert choose_band([films([0.9] * 49, [0.1] * 49)], 0.5, 0.02) is not None


def test_films_to_come_are_wrong_no_more_often_than_stated() -> None:
    """Both classes from a normal distribution; what is outside the band is counted on fresh films, drawn often."""
    rng = np.random.default_rng(11)

    def draw(n: int) -> Scored:
        ill, well = rng.normal(1.2, 1, n), rng.normal(-1.2, 1, n)
        return films(ill.tolist(), well.tolist())

    wrong: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(200):
        band = choose_band([draw(150)], 0.0, 0.05)
        assert band is not None
        fresh = draw(2000)
        outside = (fresh.scores > band.high) | (fresh.scores < band.low)
        for label in (0, 1):
            of_class = outside & (fresh.labels == label)
            off = (fresh.scores > 0) != (fresh.labels == 1)
            wrong[label].append(float((off & of_class).sum() / of_class.sum()))
    for rates in wrong.values():
        assert np.mean(rates) == pytest.approx(0.05, abs=0.008), (
            "and the band is not needlessly wide"
        )
        assert np.mean(rates) < 0.05 + 2 * np.std(rates) / np.sqrt(len(rates))


def test_figures_count_what_is_in_the_band_and_wrong_outside() -> None:
    y: NDArray[np.float64] = np.array([0.1, 0.2, 0.45, 0.9, 0.9, 0.55, 0.3, 0.8, 0.9, 0.7])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    scored = Scored(y, labels, np.arange(10).astype(str))
    (row,) = band_figures(
        scored, "int8", "test", {"paper": 0.5}, {"paper": Band(low=0.4, high=0.6)}
    )
    assert (row.n, row.split, row.operating_point, row.precision) == (10, "test", "paper", "int8")
    assert row.inside.value == 0.2
    assert row.error.value == 0.25  # 0.9 of a normal film and 0.3 of one with pneumonia, of 8
    assert row.error_normal.value == pytest.approx(1 / 3, abs=1e-4)
    assert row.error_pneumonia.value == 0.2
    assert 0 <= row.error.low <= row.error.value <= row.error.high <= 1


def test_a_band_that_holds_every_film_leaves_no_error() -> None:
    scored = films([0.1, 0.9], [0.2, 0.8])
    (row,) = band_figures(
        scored, "int8", "test", {"paper": 0.5}, {"paper": Band(low=0.0, high=1.0)}
    )
    assert (row.inside.value, row.error.value, row.error.high) == (1.0, 0.0, 0.0)
