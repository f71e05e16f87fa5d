"""Bias correction: the systematic part of a weight's rounding error, taken back in the int32 bias."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.graph import Graph

PADDINGS = {0: "SAME", 1: "VALID"}
"""The .tflite schema's Padding."""


def correct_biases(
    float_tflite: bytes, int8_tflite: bytes, means: Mapping[str, NDArray[np.float32]]
) -> bytes:
    """Shift each convolution's bias by the mean error that its rounded weights make.

    A rounding error of a weight is multiplied by the same mean input on every film, so that a channel's
    outputs are all off in one direction. Convolution is linear: the mean error over films and positions
    is the convolution of the mean input with the rounding errors, which is exact at the borders too.

    Args:
        float_tflite: The graph that was quantized.
        int8_tflite: What became of it: the same operators in the same order.
        means: By tensor name of the float graph, its mean over representative films.

    Returns:
        The int8 graph with other biases.

    Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
    2019, section 4.2, with measured means.
    """
    before = Graph(bytearray(float_tflite))
    after = Graph(bytearray(int8_tflite))
    for old, new in zip(before.operators, after.operators, strict=True):
        kind = after.kind(new)
        if kind != before.kind(old):
            raise ValueError(f"operator {kind} is not the one that was quantized")
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            mean = means[before.tensors[old.inputs[0]].name.decode()]
            error = _dequantized(after, new.inputs[1]) - before.values(old.inputs[1], np.float32)
            _shift(after, new, -_mean_output(kind, old.builtinOptions, mean, error))
    return bytes(after.content)


def _dequantized(graph: Graph, index: int) -> NDArray[np.float32]:
    """A per-channel int8 kernel as float32."""
    quantization = graph.tensors[index].quantization
    levels = graph.values(index, np.int8).astype(np.float32)
    shape = [1] * levels.ndim
    shape[quantization.quantizedDimension] = -1
    return levels * np.asarray(quantization.scale, np.float32).reshape(shape)


def _mean_output(
    kind: str, options: Any, mean: NDArray[np.float32], kernel: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(channels,): the convolution of a mean input, averaged over positions."""
    strides = [1, options.strideH, options.strideW, 1]
    padding = PADDINGS[options.padding]
    if kind == "CONV_2D":  # the schema's kernel is (out, rows, cols, in)
        out = tf.nn.conv2d(mean, kernel.transpose(1, 2, 3, 0), strides, padding)
    else:  # (1, rows, cols, channels)
        out = tf.nn.depthwise_conv2d(mean, kernel.transpose(1, 2, 3, 0), strides, padding)
    return np.asarray(tf.reduce_mean(out, (0, 1, 2)))


def _shift(graph: Graph, operator: Any, amount: NDArray[np.float32]) -> None:
    """Add `amount`, in real units, to an int32 bias."""
    levels = graph.values(operator.inputs[2], np.int32)
    scale = np.asarray(graph.tensors[operator.inputs[2]].quantization.scale, np.float64)
    bounds = np.iinfo(np.int32)
    levels[:] = np.rint(levels + amount / scale).clip(bounds.min, bounds.max)
