from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.export import export
from convert.head import fold_classifier, logits
from convert.member import quantized_features
from convert.network import read_network, walk
from convert.quantize import quantize
from convert.reconstruct import Reconstruction, reconstruct
from convert.sensitivity import Noise, left_in_float, measure_noise, rank_layers


def test_the_layer_that_was_broken_is_the_worst(
    small_member: Callable[[float], Any], pixels: NDArray[np.uint8]
) -> None:
    member = small_member(4000.0)
    backbone = export(member)
    ranking = rank_layers(backbone, fold_classifier(member), backbone.normalise(pixels[:4]))
    network = read_network(backbone.tflite)
    assert ranking[0].layer == network.layers[1].at, "the second convolution"
    assert ranking[0].error > 5 * ranking[1].error
    assert len(ranking) == sum(not layer.moves for layer in network.layers)


class Rounded:
    """The small member, unbroken, and what `reconstruct` makes of it."""

    def __init__(self, member: Any, pixels: NDArray[np.uint8]) -> None:
        self.backbone, self.classifier = export(member), fold_classifier(member)
        self.network = read_network(self.backbone.tflite)
        self.films = self.backbone.normalise(pixels)
        *_, (_, features) = walk(self.network, self.films)
        self.exact = logits(self.classifier, features)
        self.fitted = reconstruct(self.backbone, self.films)

    def noise(self, fitted: Reconstruction) -> Noise:
        return measure_noise(self.backbone, self.classifier, self.films, self.exact, fitted)


@pytest.fixture
def rounded(small_member: Callable[[float], Any], pixels: NDArray[np.uint8]) -> Rounded:
    return Rounded(small_member(0.0), pixels)


def test_the_parts_of_the_noise_make_the_whole(rounded: Rounded, pixels: NDArray[np.uint8]) -> None:
    noise = rounded.noise(rounded.fitted)
    assert len(noise.tensors) == sum(not layer.moves for layer in rounded.network.layers)
    int8 = quantize(rounded.backbone, rounded.fitted)
    made = logits(rounded.classifier, quantized_features(int8, pixels, threads=1))
    exact = rounded.exact
    off = np.polynomial.Polynomial.fit(made, exact, 1)(made) - exact
    parts = np.sqrt(noise.weights**2 + sum(spread**2 for spread in noise.tensors.values()))
    assert parts == pytest.approx(off.std(), rel=0.5), "they are nearly independent"


def test_a_tensor_with_coarse_steps_is_the_noisiest(rounded: Rounded) -> None:
    before, ranges = rounded.noise(rounded.fitted), rounded.fitted.ranges
    for layer in rounded.network.layers[:3]:
        low, high = ranges[layer.output]
        coarse = ranges | {layer.output: (16 * low, 16 * high)}
        noise = rounded.noise(replace(rounded.fitted, ranges=coarse))
        assert max(noise.tensors, key=lambda tensor: noise.tensors[tensor]) == layer.output
        assert noise.weights == before.weights


def test_a_layer_stays_in_float_with_all_that_read_it(
    small_member: Callable[[float], Any],
) -> None:
    network = read_network(export(small_member(0.0)).tflite)
    kinds = [layer.kind for layer in network.layers]
    assert kinds[3:] == ["DEPTHWISE_CONV_2D", "MAX_POOL_2D", "CONV_2D"]
    assert left_in_float(network, [network.layers[0].at]) == {
        layer.at for layer in network.layers[:2]
    }
    # A pooling only moves the values, so who reads it must stay in float too.
    assert left_in_float(network, [network.layers[3].at]) == {
        layer.at for layer in network.layers[3:]
    }
