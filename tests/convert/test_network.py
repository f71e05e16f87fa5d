from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from convert.export import SIGNATURE, FloatBackbone, to_tflite
from convert.network import patches, read_network, run_layer, walk


def by_litert(backbone: FloatBackbone, films: NDArray[np.uint8]) -> NDArray[np.float32]:
    runner = Interpreter(model_content=backbone.tflite).get_signature_runner(SIGNATURE)
    return np.concatenate([runner(grey=x[None])["features"] for x in backbone.normalise(films)])


def test_the_layers_run_as_litert_runs_them(
    backbone: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    *_, (_, features) = walk(read_network(backbone.tflite), backbone.normalise(pixels[:2]))
    expected = by_litert(backbone, pixels[:2])
    np.testing.assert_allclose(features, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_a_patch_times_the_kernel_is_the_convolution(padding: str) -> None:
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(3, 3, 4, 5)).astype(np.float32)
    spec = tf.TensorSpec((1, 9, 9, 4), tf.float32, name="x")
    made = tf.function(lambda x: {"y": tf.nn.conv2d(x, kernel, 2, padding)}, input_signature=[spec])
    (layer,) = read_network(to_tflite({SIGNATURE: made})).layers
    films = rng.normal(size=(3, 9, 9, 4)).astype(np.float32)
    found = patches(layer, films, each=1000, seed=1) @ layer.kernel.reshape(5, -1).T
    expected = run_layer(layer, [films]).reshape(-1, 5) - layer.bias
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.sort(found, 0), np.sort(expected, 0), atol=1e-5)


def test_an_operator_that_cannot_be_run_is_named() -> None:
    spec = tf.TensorSpec((1, 9, 9, 4), tf.float32, name="x")
    made = tf.function(lambda x: {"y": tf.sin(x)}, input_signature=[spec])
    with pytest.raises(ValueError, match="SIN"):
        read_network(to_tflite({SIGNATURE: made}))


def test_a_tensor_is_forgotten_after_the_layer_that_reads_it_last(backbone: FloatBackbone) -> None:
    network = read_network(backbone.tflite)
    forgotten = network.forgotten()
    told = [tensor for tensors in forgotten.values() for tensor in tensors]
    assert len(told) == len(set(told)), "each once"
    assert set(told) == {tensor for layer in network.layers for tensor in layer.inputs}
    assert network.sink not in told
    for layer in network.layers:
        for tensor in forgotten[layer.at]:
            assert all(reader.at <= layer.at for reader in network.readers(tensor))
