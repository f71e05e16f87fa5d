"""The fit learns what can be learnt, and its slopes are those of the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.perceptron import _slopes, fit_perceptron
from pneumo_edge.gate.perceptron import Perceptron


def bright_half(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Thumbnails whose top (0), bottom (1) or left (2) half is brighter."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(60, 120, (count, 24, 24)).astype(np.float32)
    classes = rng.integers(0, 3, count)
    small[classes == 0, :12] += 30
    small[classes == 1, 12:] += 30
    small[classes == 2, :, :12] += 30
    return small, classes


def test_a_class_that_shows_is_learnt() -> None:
    net = fit_perceptron((bright_half(600, k) for k in range(30)), 30, 8, 3, seed=1)
    small, classes = bright_half(300, 99)
    assert (net.probabilities(small).argmax(1) == classes).mean() > 0.98


def test_the_same_seed_gives_the_same_weights() -> None:
    one, other = (fit_perceptron(iter([bright_half(100, 1)]), 1, 4, 3, seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.first, other.first)
    np.testing.assert_array_equal(one.second_bias, other.second_bias)


def test_slopes_are_those_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.1, s).astype(np.float64) for s in ((576, 4), (4,), (4, 3), (3,))]
    small, classes = bright_half(20, 3)
    rows = (small.reshape(20, -1) - 100) / 30

    def loss(changed: list[NDArray[np.float64]]) -> float:
        net = Perceptron(*changed)
        hidden = np.maximum(rows @ net.first + net.first_bias, 0)
        logits = hidden @ net.second + net.second_bias
        logits -= np.log(np.exp(logits).sum(1, keepdims=True))
        return float(-logits[np.arange(20), classes].mean())

    found = _slopes(weights, rows, classes)  # type: ignore[arg-type]
    for k, (row, col) in enumerate([(100, 2), (1, 0), (3, 1), (2, 0)]):
        place = (row, col) if weights[k].ndim == 2 else (row,)
        nudged = [w.copy() for w in weights]
        nudged[k][place] += 1e-5
        numeric = (loss(nudged) - loss(weights)) / 1e-5
        np.testing.assert_allclose(found[k][place], numeric, rtol=1e-2, atol=1e-6)
