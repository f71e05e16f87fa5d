"""The classifier computes what its formula says."""

from __future__ import annotations

import numpy as np
import pytest

from pneumo_edge.gate.perceptron import THUMBNAIL, Perceptron, standardised, thumbnails
from pneumo_edge.types import InputTensor


def random_net(classes: int = 3) -> Perceptron:
    rng = np.random.default_rng(2)
    return Perceptron(
        rng.normal(0, 0.1, (THUMBNAIL**2, 5)).astype(np.float32),
        rng.normal(0, 1, 5).astype(np.float32),
        rng.normal(0, 1, (5, classes)).astype(np.float32),
        rng.normal(0, 1, classes).astype(np.float32),
    )


def test_probabilities_are_the_softmax_of_two_layers() -> None:
    net, small = random_net(), np.random.default_rng(3).uniform(0, 255, (4, 24, 24)).astype("f")
    found = net.probabilities(small)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    for row, film in zip(found, small, strict=True):
        z = (film.ravel() - film.mean()) / (film.std() + 1)
        hidden = [max(0.0, float(z @ net.first[:, j] + net.first_bias[j])) for j in range(5)]
        logits = np.array(hidden) @ net.second + net.second_bias
        np.testing.assert_allclose(row, np.exp(logits) / np.exp(logits).sum(), rtol=1e-3)


def test_exposure_and_contrast_hardly_count() -> None:
    small = np.random.default_rng(4).uniform(80, 200, (1, 24, 24)).astype(np.float32)
    np.testing.assert_allclose(standardised(small), standardised(small * 0.5 + 30), atol=0.05)


def test_a_thumbnail_is_the_mean_over_its_area() -> None:
    pixels = np.zeros((1, 150, 150, 1), np.uint8)
    pixels[0, :75] = 200
    small = thumbnails(pixels)
    assert small.shape == (1, 24, 24)
    assert small[0, :12].mean() == pytest.approx(200)
    assert small[0, 12:].mean() == pytest.approx(0)
    net = random_net()
    np.testing.assert_array_equal(net.of(InputTensor(pixels)), net.probabilities(small)[0])
