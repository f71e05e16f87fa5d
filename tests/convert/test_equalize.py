from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from convert.equalize import FLOOR, balance, channel_ranges, equalize
from convert.export import FloatBackbone
from convert.graph import Graph
from convert.network import read_network, walk


def features(backbone: FloatBackbone, films: NDArray[np.uint8]) -> NDArray[np.float32]:
    *_, (_, found) = walk(read_network(backbone.tflite), backbone.normalise(films))
    return found


def unequal(backbone: FloatBackbone) -> FloatBackbone:
    """The same backbone with one channel of its first layer twelve times as large."""
    graph = Graph(bytearray(backbone.tflite))
    first, second = [op for op in graph.operators if graph.kind(op) == "CONV_2D"][:2]
    graph.values(first.inputs[1], np.float32)[3] *= 12
    graph.values(first.inputs[2], np.float32)[3] *= 12
    graph.values(second.inputs[1], np.float32)[..., 3] /= 12
    return dataclasses.replace(backbone, tflite=bytes(graph.content))


def test_the_features_times_the_gains_stay_the_same(
    backbone: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    equal = equalize(backbone, backbone.normalise(pixels[:2]))
    expected = features(backbone, pixels[:2])
    found = features(equal, pixels[:2]) * equal.gains
    assert not np.allclose(equal.gains, 1)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_channels_become_alike(small: FloatBackbone, pixels: NDArray[np.uint8]) -> None:
    inputs = small.normalise(pixels)
    backbone = unequal(small)
    first = read_network(small.tflite).layers[0].output
    before = channel_ranges(read_network(backbone.tflite), inputs)[first]
    equal = equalize(backbone, inputs)
    after = channel_ranges(read_network(equal.tflite), inputs)[first]
    assert before.max() / np.median(before) > 5
    np.testing.assert_allclose(after, after.max(), rtol=1e-4)


def test_the_backbone_given_is_not_touched(small: FloatBackbone, pixels: NDArray[np.uint8]) -> None:
    before = bytes(small.tflite)
    equalize(small, small.normalise(pixels))
    assert small.tflite == before
    assert (small.gains == 1).all()


RANGES = arrays.arrays(np.float32, (3, 6), elements=st.floats(0.125, 100, width=32))


@given(ranges=RANGES, energies=arrays.arrays(np.float32, 6, elements=st.floats(0.5, 2, width=32)))
def test_shared_factors_make_no_more_noise_than_none(
    ranges: NDArray[np.float32], energies: NDArray[np.float32]
) -> None:
    factors = balance(ranges, energies)
    assert factors.max() == 1
    assert factors.min() >= FLOOR * 0.999

    def noise(made: NDArray[np.float32]) -> float:
        steps = (ranges / made).max(axis=1)
        return float(sum((energies * (made * step) ** 2).sum() for step in steps))

    assert noise(factors) <= noise(np.ones(6, np.float32)) * 1.01


def test_an_outlier_in_one_of_several_tensors_costs_the_others_little() -> None:
    ranges = np.ones((5, 64), np.float32)
    ranges[2, 7] = 30
    factors = balance(ranges, np.ones(64, np.float32))
    assert factors[7] == 1
    assert np.delete(factors, 7).max() < 0.1
