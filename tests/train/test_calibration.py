from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss

from train.calibration import BINS, Calibration, calibrated, clipped, reliability
from train.metrics import Scored


def told(p: NDArray[np.float64], labels: NDArray[np.int64]) -> Calibration:
    patients = np.array([f"p{k}" for k in range(len(p))])
    return reliability("test", "any", Scored(p, labels, patients))


def test_the_calibration_error_is_the_mean_distance_from_the_diagonal() -> None:
    # 10 films given 0.25 of which 5 are ill, 30 given 0.85 of which 27 are
    p = np.repeat([0.25, 0.85], [10, 30])
    labels = np.concatenate([np.arange(10) < 5, np.arange(30) < 27]).astype(np.int64)
    row = told(p, labels)
    assert row.ece == pytest.approx((10 * 0.25 + 30 * 0.05) / 40)
    assert [(b.predicted, b.observed.value, b.n) for b in row.bins] == [
        (0.25, 0.5, 10),
        (0.85, 0.9, 30),
    ]
    # Wilson's interval of 5 in 10, from its closed form
    z = 1.959964
    centre, half = (5 + z**2 / 2) / (10 + z**2), z / (10 + z**2) * np.sqrt(2.5 + z**2 / 4)
    interval = row.bins[0].observed
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=1e-3)


@given(seed=st.integers(0, 10_000), n=st.integers(10, 200))
def test_every_film_is_in_one_bin_and_the_score_is_that_of_scikit_learn(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.round(rng.random(n), 1 + seed % 3)  # many on the edges of the bins
    labels = (rng.random(n) < p).astype(np.int64)
    labels[:2] = 0, 1
    row = told(p, labels)
    assert sum(part.n for part in row.bins) == n
    assert len(row.bins) <= BINS
    total = sum(part.n * part.predicted for part in row.bins)
    assert total == pytest.approx(p.sum(), abs=1e-3 * n)
    assert row.brier.value == pytest.approx(brier_score_loss(labels, p), abs=1e-4)
    assert row.brier.low <= row.brier.value <= row.brier.high
    assert 0 <= row.ece <= 1
    assert msgspec.json.decode(msgspec.json.encode(row), type=Calibration) == row


def test_probabilities_that_come_true_have_a_small_error() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(20_000)
    labels = (rng.random(20_000) < p).astype(np.int64)
    assert told(p, labels).ece < 0.015
    assert told(p**3, labels).ece > 0.1


def test_a_calibrated_score_is_a_rising_probability_that_held_out_films_settle() -> None:
    rng = np.random.default_rng(2)
    held_out = rng.normal(0.5, 0.4, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-6 * (held_out - 0.6)))).astype(np.int64)
    y = np.linspace(-1, 2, 31)
    for p in calibrated(held_out, labels, y).values():
        assert (np.diff(p) >= 0).all()
        assert 0 <= p.min() <= p.max() <= 1
    platt = calibrated(held_out, labels, y)["y, Platt"]
    np.testing.assert_allclose(platt, 1 / (1 + np.exp(-6 * (y - 0.6))), atol=0.03)


def test_clipping_keeps_what_lies_inside() -> None:
    assert clipped(np.array([-0.2, 0.3, 1.4])).tolist() == [0.0, 0.3, 1.0]
