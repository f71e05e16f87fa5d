"""Activations in several copies, on the small member and on ResNet50 with its shortcuts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from convert.export import SIGNATURE, FloatBackbone, export
from convert.finer import EXTRA, MOST, choose_finer, widen
from convert.network import Network, read_network, walk
from convert.quantize import quantize
from convert.reconstruct import Reconstruction, reconstruct
from convert.sensitivity import Noise
from tests.convert.test_quantize import delegates, features, relative_error


@pytest.fixture(scope="module")
def resnet50(members: dict[str, Any]) -> FloatBackbone:
    return export(members["resnet50"])


def ranked(network: Network, worst: dict[int, float], weights: float = 0.0) -> Noise:
    """Every layer that is rounded, the error of each as given, or small."""
    found = {
        layer.output: worst.get(layer.at, 0.001) for layer in network.layers if not layer.moves
    }
    return Noise(found, weights)


def stem_of(network: Network) -> int:
    return next(layer.at for layer in network.layers if layer.convolves)


def test_the_tensors_along_a_shortcut_have_as_many_copies_each(resnet50: FloatBackbone) -> None:
    network = read_network(resnet50.tflite)
    sums = [layer for layer in network.layers if layer.kind == "ADD"]
    copies = choose_finer(resnet50, ranked(network, {sums[0].at: 1.0}), wanted=0.6)
    assert copies is not None
    assert set(copies.values()) == {2}
    for one in sums[:3]:  # the block sizes change after three
        assert {*one.inputs, one.output} <= copies.keys()
    assert not {*sums[3].inputs, sums[3].output} & copies.keys()


def test_copies_do_not_change_what_is_computed(
    resnet50: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    network = read_network(resnet50.tflite)
    sums = [layer for layer in network.layers if layer.kind == "ADD"]
    worst = {sums[0].at: 1.0, stem_of(network): 1.0}
    copies = choose_finer(resnet50, ranked(network, worst), wanted=0.5)
    assert copies is not None
    wide = widen(resnet50, copies)
    assert wide.copies == copies
    film = resnet50.normalise(pixels[:1])
    expected, found = (
        Interpreter(model_content=b.tflite).get_signature_runner(SIGNATURE)(grey=film)["features"]
        for b in (resnet50, wide)
    )
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_as_few_copies_as_will_do_where_they_cost_least(resnet50: FloatBackbone) -> None:
    network = read_network(resnet50.tflite)
    ranking = ranked(network, {stem_of(network): 1.0})
    stem = network.layers[stem_of(network)].output
    pool = next(layer.output for layer in network.layers if layer.kind == "MAX_POOL_2D")
    for wanted, expected in ((1.0, 1), (0.6, 2), (0.3, 4)):
        copies = choose_finer(resnet50, ranking, wanted)
        assert copies is not None
        assert copies.get(stem, 1) == copies.get(pool, 1) == expected
        assert max(copies.values(), default=1) == expected
    assert choose_finer(resnet50, ranking, wanted=0.9 / MOST) is None, "more than are allowed"


def test_copies_take_nothing_off_what_the_weights_cost(resnet50: FloatBackbone) -> None:
    network = read_network(resnet50.tflite)
    stem = network.layers[stem_of(network)].output
    noise = ranked(network, {stem_of(network): 1.0}, weights=1.0)
    copies = choose_finer(resnet50, noise, wanted=0.8)  # of the root of 2; two leave 1.118
    assert copies is not None
    assert copies[stem] == 2
    assert choose_finer(resnet50, noise, wanted=0.7) is None, "which is the weights alone"


def test_no_copies_where_they_would_cost_too_much(resnet50: FloatBackbone) -> None:
    network = read_network(resnet50.tflite)
    everywhere = {layer.at: 1.0 for layer in network.layers}
    assert EXTRA < 1, "copies of all would be four times the cost"
    assert choose_finer(resnet50, ranked(network, everywhere), wanted=0.55) is None


def test_what_a_depthwise_convolution_reads_or_makes_has_no_copies(small: FloatBackbone) -> None:
    network = read_network(small.tflite)
    reader = network.layers[2]
    assert network.layers[3].depthwise
    assert reader.output in network.layers[3].inputs
    assert choose_finer(small, ranked(network, {reader.at: 1.0}), wanted=0.9) is None


def test_the_film_and_the_features_have_no_copies(small: FloatBackbone) -> None:
    network = read_network(small.tflite)
    last = network.layers[-1]
    assert choose_finer(small, ranked(network, {last.at: 1.0}), wanted=0.9) is None


@pytest.fixture(scope="module")
def copied(small: FloatBackbone) -> FloatBackbone:
    """The two tensors of the small member that may have copies have four each."""
    first, second = (layer.output for layer in read_network(small.tflite).layers[:2])
    return widen(small, {first: 4, second: 4})


@pytest.fixture(scope="module")
def fitted(copied: FloatBackbone, pixels: NDArray[np.uint8]) -> Reconstruction:
    return reconstruct(copied, copied.normalise(pixels))


@pytest.fixture(scope="module")
def int8(copied: FloatBackbone, fitted: Reconstruction) -> bytes:
    return quantize(copied, fitted)


def test_copies_are_int8_in_one_partition(int8: bytes) -> None:
    assert delegates(int8) == 1
    interpreter = Interpreter(model_content=int8)
    interpreter.allocate_tensors()
    assert {d["dtype"] for d in interpreter.get_tensor_details() if len(d["shape"]) == 4} == {
        np.int8
    }


def test_copies_make_the_member_more_exact(
    int8: bytes, small: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    plain = quantize(small, reconstruct(small, small.normalise(pixels)))
    assert relative_error(int8, small, pixels) < 0.9 * relative_error(plain, small, pixels)


def test_the_copies_biases_lie_a_part_of_a_step_apart_and_the_features_keep_their_shape(
    int8: bytes, copied: FloatBackbone, fitted: Reconstruction, pixels: NDArray[np.uint8]
) -> None:
    network = read_network(copied.tflite)
    first = network.layers[0].output
    low, high = fitted.ranges[first]
    step = (high - low) / 255
    weights = fitted.weights[network.layers[0].at]
    per_copy = weights.bias.reshape(4, -1)
    np.testing.assert_allclose(np.diff(per_copy, axis=0), step / 4, atol=0.02 * step)
    assert features(int8, pixels[0]).shape == next(
        made.shape
        for layer, made in walk(network, copied.normalise(pixels[:1]))
        if layer.output == network.sink
    )
