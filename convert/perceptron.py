"""Fitting the gate's small classifiers: softmax cross-entropy by Adam, in numpy, the same on every run."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.gate.perceptron import THUMBNAIL, Perceptron, standardised

BATCH = 256
RATE = 2e-3
DECAY = (0.9, 0.999)
"""Of the two moments (Kingma and Ba, "Adam", 2015)."""

Draw = tuple[NDArray[np.float32], NDArray[np.int64]]
"""(n, 24, 24) thumbnails and their (n,) classes."""


def fit_perceptron(
    draws: Iterable[Draw], count: int, hidden: int, classes: int, seed: int
) -> Perceptron:
    """Learn from one draw after the other; the learning rate falls to 0 with half a cosine.

    Args:
        draws: Each is gone through once, in batches.
        count: How many there are.
        hidden: Units between the layers.
        classes: Of the softmax.
        seed: Of the first weights and the order of the films.
    """
    rng = np.random.default_rng(seed)
    inputs = THUMBNAIL**2
    weights = [
        rng.normal(0, np.sqrt(2 / inputs), (inputs, hidden)).astype(np.float32),
        np.zeros(hidden, np.float32),
        rng.normal(0, np.sqrt(1 / hidden), (hidden, classes)).astype(np.float32),
        np.zeros(classes, np.float32),
    ]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    step = 0
    for number, (small, targets) in enumerate(draws):
        rate = RATE * (1 + np.cos(np.pi * number / count)) / 2
        rows, order = standardised(small), rng.permutation(len(small))
        for at in range(0, len(order), BATCH):
            batch = order[at : at + BATCH]
            step += 1
            for k, slope in enumerate(_slopes(weights, rows[batch], targets[batch])):
                first[k] += (1 - DECAY[0]) * (slope - first[k])
                second[k] += (1 - DECAY[1]) * (slope**2 - second[k])
                mean, spread = first[k] / (1 - DECAY[0] ** step), second[k] / (1 - DECAY[1] ** step)
                weights[k] -= (rate * mean / (np.sqrt(spread) + 1e-8)).astype(np.float32)
    return Perceptron(*weights)


def _slopes(
    weights: list[NDArray[np.float32]], rows: NDArray[np.float32], targets: NDArray[np.int64]
) -> list[NDArray[np.float32]]:
    """The gradient of the mean cross-entropy, weight by weight."""
    hidden = np.maximum(rows @ weights[0] + weights[1], 0)
    logits = hidden @ weights[2] + weights[3]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    error = powers / powers.sum(1, keepdims=True)
    error[np.arange(len(rows)), targets] -= 1
    error /= len(rows)
    back = (error @ weights[2].T) * (hidden > 0)
    return [rows.T @ back, back.sum(0), hidden.T @ error, error.sum(0)]
