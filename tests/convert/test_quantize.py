from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from convert.bias import correct_biases
from convert.export import SIGNATURE, FloatBackbone, to_tflite
from convert.graph import FORBIDDEN, Graph, operators
from convert.quantize import Activation, calibrate, quantize


def features(content: bytes, film: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of an int8 backbone, dequantized; the input is the film with its top bit flipped."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], (film[None] ^ 0x80).view(np.int8))
    interpreter.invoke()
    scale, zero_point = made["quantization"]
    values = interpreter.get_tensor(made["index"]).astype(np.float32)
    return np.asarray((values - zero_point) * scale, np.float32)


@pytest.fixture(scope="module")
def activations(backbone: FloatBackbone, pixels: NDArray[np.uint8]) -> dict[str, Activation]:
    return calibrate(backbone, pixels[:4])


@pytest.fixture(scope="module")
def int8(backbone: FloatBackbone, activations: dict[str, Activation]) -> bytes:
    return quantize(backbone, activations)


def test_the_input_quantization_is_exactly_the_normalisation(
    int8: bytes, backbone: FloatBackbone
) -> None:
    interpreter = Interpreter(model_content=int8)
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] == made["dtype"] == np.int8
    assert given["quantization"] == (backbone.scale, backbone.mean - 128)


def test_every_grey_level_is_held_without_rounding(int8: bytes, backbone: FloatBackbone) -> None:
    scale, zero_point = Interpreter(model_content=int8).get_input_details()[0]["quantization"]
    grey = np.arange(256, dtype=np.uint8)
    level = (grey ^ 0x80).view(np.int8).astype(np.float64)
    normalised = backbone.scale * (grey.astype(np.float64) - backbone.mean)
    np.testing.assert_array_equal(scale * (level - zero_point), normalised)


def test_one_partition_takes_the_whole_graph(int8: bytes) -> None:
    interpreter = Interpreter(model_content=int8)
    interpreter.allocate_tensors()
    ops = interpreter._get_ops_details()
    (delegate,) = [op for op in ops if op["op_name"] == "DELEGATE"]
    assert delegate["outputs"].tolist() == [interpreter.get_output_details()[0]["index"]]
    assert interpreter.get_input_details()[0]["index"] in delegate["inputs"]
    assert not operators(int8).keys() & FORBIDDEN


def test_weights_are_int8_per_channel_and_biases_int32(int8: bytes) -> None:
    graph = Graph(bytearray(int8))
    for op in graph.operators:
        if "CONV" not in graph.kind(op):
            continue
        kernel, bias = (graph.tensors[i] for i in op.inputs[1:3])
        channels = kernel.shape[kernel.quantization.quantizedDimension]
        assert graph.values(op.inputs[1], np.int8).dtype == np.int8
        assert len(kernel.quantization.scale) == channels == len(bias.quantization.scale)
        assert not np.any(kernel.quantization.zeroPoint)
        assert graph.values(op.inputs[2], np.int32).shape == (channels,)


def test_int8_features_stay_near_the_float_ones(
    int8: bytes, backbone: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    runner = Interpreter(model_content=backbone.tflite).get_signature_runner(SIGNATURE)
    for film in pixels[:2]:
        grey = backbone.scale * (film[None].astype(np.float32) - backbone.mean)
        expected = runner(grey=grey)["features"]
        error = np.sqrt(np.mean((features(int8, film) - expected) ** 2) / np.mean(expected**2))
        # Random weights agree less than trained ones do: Xception's 36 layers reach 0.2.
        assert error < 0.3


def test_the_same_films_give_the_same_bytes(
    backbone: FloatBackbone, activations: dict[str, Activation], int8: bytes
) -> None:
    assert quantize(backbone, activations) == int8


def biased_backbone() -> FloatBackbone:
    """A convolution whose rounding errors all point one way: 8 taps of 0.4 steps beside a large one."""
    kernel = np.full((3, 3, 1, 2), 0.4 / 127, np.float32)
    kernel[1, 1] = 1.0
    kernel[..., 1] *= -1
    spec = tf.TensorSpec((1, 150, 150, 1), tf.float32, name="grey")

    def convolve(grey: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": tf.nn.bias_add(tf.nn.conv2d(grey, kernel, 2, "SAME"), [1.0, 2.0])}

    made: Any = tf.function(convolve, input_signature=[spec])
    return FloatBackbone("tiny", to_tflite({SIGNATURE: made}), mean=0, scale=1.0)


def test_bias_correction_takes_the_mean_error_of_rounded_weights_away(
    pixels: NDArray[np.uint8],
) -> None:
    backbone = biased_backbone()
    activations = calibrate(backbone, pixels)
    runner = Interpreter(model_content=backbone.tflite).get_signature_runner(SIGNATURE)
    expected = np.mean(
        [runner(grey=f[None].astype(np.float32))["features"] for f in pixels], (0, 1, 2, 3)
    )
    corrected = quantize(backbone, activations)
    opposite = {name: -seen.mean for name, seen in activations.items()}
    uncorrected = correct_biases(backbone.tflite, corrected, opposite)

    def mean_error(content: bytes) -> float:
        means = np.mean([features(content, film) for film in pixels], (0, 1, 2, 3))
        return float(np.abs(means - expected).max())

    assert mean_error(uncorrected) > 1.0, "8 taps of 0.4 / 127 at grey levels of about 60 are lost"
    assert mean_error(corrected) < 0.2
