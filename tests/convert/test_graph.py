from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from convert.export import to_tflite
from convert.graph import Graph, fuse_relus, operators, pack_stem, separate_weights


def tflite(function: Any, *shape: int) -> bytes:
    spec = tf.TensorSpec(shape, tf.float32, name="x")
    return to_tflite({"serving_default": tf.function(function, input_signature=[spec])})


def run(content: bytes, x: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    outputs: dict[str, NDArray[np.float32]] = runner(x=x)
    return outputs


def shared_sum(x: tf.Tensor) -> dict[str, tf.Tensor]:
    """A sum that a shortcut and a ReLU both read, as in Xception."""
    total = x + tf.nn.max_pool2d(x, 3, 1, "SAME")
    return {"shortcut": total * 2.0, "active": tf.nn.relu(total)}


def test_a_relu_behind_a_shared_sum_becomes_a_second_sum_with_the_same_values() -> None:
    before = tflite(shared_sum, 1, 5, 5, 3)
    assert operators(before)["RELU"] == 1, "the case that is to be rewritten"
    after = fuse_relus(before)
    assert operators(after)["RELU"] == 0
    assert operators(after)["ADD"] == operators(before)["ADD"] + 1
    x = np.random.default_rng(0).normal(size=(1, 5, 5, 3)).astype(np.float32)
    expected = run(before, x)
    for name, values in run(after, x).items():
        np.testing.assert_array_equal(values, expected[name])
    assert (expected["active"] == 0).any(), "the ReLU has something to cut"


def test_a_relu_that_cannot_be_fused_is_no_silent_loss() -> None:
    graph = tflite(
        lambda x: {"y": tf.nn.relu(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]))}, 1, 5, 5, 3
    )
    assert operators(graph)["RELU"] == 1
    with pytest.raises(ValueError, match="PAD"):
        fuse_relus(graph)


def test_a_constant_can_be_read_and_changed_in_place() -> None:
    kernel = np.random.default_rng(1).normal(size=(3, 3, 2, 4)).astype(np.float32)
    content = tflite(lambda x: {"y": tf.nn.conv2d(x, kernel, 1, "SAME")}, 1, 6, 6, 2)
    graph = Graph(bytearray(content))
    (conv,) = [op for op in graph.operators if graph.kind(op) == "CONV_2D"]
    values = graph.values(conv.inputs[1], np.float32)
    np.testing.assert_array_equal(values, kernel.transpose(3, 0, 1, 2))
    values *= 2
    x = np.ones((1, 6, 6, 2), np.float32)
    np.testing.assert_allclose(
        run(bytes(graph.content), x)["y"], 2 * run(content, x)["y"], rtol=1e-6
    )


def test_equal_constants_are_given_apart() -> None:
    kernel = np.random.default_rng(1).normal(size=(1, 1, 2, 2)).astype(np.float32)

    def twice(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.nn.conv2d(tf.nn.conv2d(x, kernel, 1, "SAME"), kernel, 1, "SAME")}

    content = separate_weights(tflite(twice, 1, 6, 6, 2))
    graph = Graph(bytearray(content))
    first, second = graph.operators
    x = np.ones((1, 6, 6, 2), np.float32)
    before = run(content, x)["y"]
    graph.values(first.inputs[1], np.float32)[:] *= 3
    np.testing.assert_array_equal(
        graph.values(second.inputs[1], np.float32), kernel.transpose(3, 0, 1, 2)
    )
    np.testing.assert_allclose(run(bytes(graph.content), x)["y"], 3 * before, rtol=1e-6)
    assert len({tensor.name for tensor in graph.tensors}) == len(graph.tensors)


def convolution(rows: int, channels: int, strides: int, side: int) -> bytes:
    """A graph of one convolution."""
    rng = np.random.default_rng(rows)
    kernel = rng.normal(size=(rows, rows, channels, 5)).astype(np.float32)
    return tflite(
        lambda x: {"y": tf.nn.conv2d(x, kernel, strides, "VALID")}, 1, side, side, channels
    )


@pytest.mark.parametrize(("rows", "side"), [(7, 26), (3, 20), (4, 20)])
def test_a_strided_stem_of_one_channel_reads_blocks_of_pixels(rows: int, side: int) -> None:
    before = convolution(rows, 1, 2, side)
    after = pack_stem(before)
    assert operators(after) == {"SPACE_TO_DEPTH": 1, "CONV_2D": 1}
    x = np.random.default_rng(0).normal(size=(1, side, side, 1)).astype(np.float32)
    np.testing.assert_allclose(run(after, x)["y"], run(before, x)["y"], atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "channels", "strides", "side"),
    [(3, 2, 2, 20), (3, 1, 1, 20), (3, 1, 2, 21)],
    ids=["two channels", "no stride", "an odd side"],
)
def test_other_stems_are_left_as_they_are(
    rows: int, channels: int, strides: int, side: int
) -> None:
    before = convolution(rows, channels, strides, side)
    assert pack_stem(before) == before
