"""A float backbone as layers that can be run one by one on a whole batch of films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.graph import Graph

Batch = NDArray[np.float32]
"""(n, rows, cols, channels)."""

PADDINGS = {0: "SAME", 1: "VALID"}
"""The .tflite schema's Padding."""

ACTIVATIONS = {0: False, 1: True}
"""The .tflite schema's ActivationFunctionType: none or ReLU. Both commute with a positive factor."""

CHUNK = 16
"""Films that are run at once, so that intermediate patches stay small."""

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
MOVES = ("MAX_POOL_2D", "PAD", "SPACE_TO_DEPTH")
"""Layers whose output values are input values, and share their quantization."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One operator."""

    at: int
    """Its position in the graph."""
    kind: str
    inputs: tuple[int, ...]
    """Tensors, without the constants."""
    output: int
    kernel: NDArray[np.float32]
    """(out, rows, cols, in), or (1, rows, cols, channels) if depthwise; empty if no convolution."""
    bias: NDArray[np.float32]
    strides: tuple[int, int]
    padding: str
    relu: bool
    window: tuple[int, int]
    """Of a pooling; of a SPACE_TO_DEPTH the block."""
    margins: NDArray[np.int32]
    """Of a PAD: (4, 2)."""

    @property
    def convolves(self) -> bool:
        """Whether it has weights."""
        return self.kind in CONVOLUTIONS

    @property
    def depthwise(self) -> bool:
        """Whether each channel has a kernel of its own."""
        return self.kind == "DEPTHWISE_CONV_2D"

    @property
    def moves(self) -> bool:
        """Whether it only moves values; see MOVES."""
        return self.kind in MOVES


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """The layers in the order of running."""

    layers: tuple[Layer, ...]
    source: int
    """The input tensor."""
    sink: int
    """The output tensor."""
    names: dict[int, str]
    """Of the tensors that are not constant."""

    def readers(self, tensor: int) -> list[Layer]:
        """The layers that read a tensor."""
        return [layer for layer in self.layers if tensor in layer.inputs]

    def forgotten(self) -> dict[int, list[int]]:
        """By a layer's position, the tensors that no later layer reads: they can be forgotten after it."""
        last = {tensor: layer.at for layer in self.layers for tensor in layer.inputs}
        return {
            layer.at: [t for t in dict.fromkeys(layer.inputs) if last[t] == layer.at]
            for layer in self.layers
        }


def read_network(tflite: bytes) -> Network:
    """Read a float .tflite of one subgraph.

    Raises:
        ValueError: it holds an operator that no backbone of ours has.
    """
    graph = Graph(bytearray(tflite))
    layers = tuple(_layer(graph, at, op) for at, op in enumerate(graph.operators))
    (source,) = graph.model.subgraphs[0].inputs
    (sink,) = graph.model.subgraphs[0].outputs
    return Network(layers, int(source), int(sink), graph.activations())


def _layer(graph: Graph, at: int, op: Any) -> Layer:
    kind, options = graph.kind(op), op.builtinOptions
    none = np.zeros(0, np.float32)
    kernel, bias, margins, window = none, none, np.zeros(0, np.int32), (1, 1)
    inputs = tuple(int(index) for index in op.inputs)
    if kind in CONVOLUTIONS:
        kernel = graph.values(inputs[1], np.float32).copy()
        bias = graph.values(inputs[2], np.float32).copy()
        inputs = inputs[:1]
    elif kind == "PAD":
        margins = graph.values(inputs[1], np.int32).copy()
        inputs = inputs[:1]
    elif kind == "MAX_POOL_2D":
        window = (options.filterHeight, options.filterWidth)
    elif kind == "SPACE_TO_DEPTH":
        window = (options.blockSize, options.blockSize)
    elif kind != "ADD":
        raise ValueError(f"a backbone holds {kind}, which cannot be run layer by layer")
    strided = kind in (*CONVOLUTIONS, "MAX_POOL_2D")
    return Layer(
        at=at,
        kind=kind,
        inputs=inputs,
        output=int(op.outputs[0]),
        kernel=kernel,
        bias=bias,
        strides=(options.strideH, options.strideW) if strided else (1, 1),
        padding=PADDINGS[options.padding] if strided else "VALID",
        relu=ACTIVATIONS[getattr(options, "fusedActivationFunction", 0)],
        window=window,
        margins=margins,
    )


def run_layer(
    layer: Layer,
    inputs: Sequence[Batch],
    kernel: NDArray[np.float32] | None = None,
    relu: bool | None = None,
) -> Batch:
    """Run one layer on a batch.

    Args:
        layer: Not modified.
        inputs: As many batches as the layer has inputs.
        kernel: In place of the layer's own, of its shape.
        relu: Whether to apply the ReLU; None applies it where the layer has one.

    Returns:
        The layer's output for every film.
    """
    weights = layer.kernel if kernel is None else kernel
    filters = tf.constant(weights.transpose(1, 2, 3, 0)) if layer.convolves else None
    active = layer.relu if relu is None else relu
    made: Batch | None = None  # one piece: parts kept until the end leave a heap full of holes
    for start in range(0, len(inputs[0]), CHUNK):
        part = _apply(layer, [x[start : start + CHUNK] for x in inputs], filters)
        part = np.asarray(tf.nn.relu(part) if active else part)
        if made is None:
            made = np.empty((len(inputs[0]), *part.shape[1:]), part.dtype)
        made[start : start + CHUNK] = part
    assert made is not None
    return made


def _apply(layer: Layer, inputs: Sequence[Batch], filters: Any) -> Any:
    strides = [1, *layer.strides, 1]
    if layer.kind == "CONV_2D":
        out = tf.nn.conv2d(inputs[0], filters, strides, layer.padding)
        return tf.nn.bias_add(out, layer.bias)
    if layer.kind == "DEPTHWISE_CONV_2D":
        out = tf.nn.depthwise_conv2d(inputs[0], filters, strides, layer.padding)
        return tf.nn.bias_add(out, layer.bias)
    if layer.kind == "MAX_POOL_2D":
        return tf.nn.max_pool2d(inputs[0], layer.window, layer.strides, layer.padding)
    if layer.kind == "SPACE_TO_DEPTH":
        return tf.nn.space_to_depth(inputs[0], layer.window[0])
    if layer.kind == "PAD":
        return tf.pad(inputs[0], layer.margins)
    return inputs[0] + inputs[1]


def walk(network: Network, inputs: Batch) -> Iterator[tuple[Layer, Batch]]:
    """Each layer with its output, in turn; what no later layer reads is forgotten."""
    forgotten, live = network.forgotten(), {network.source: inputs}
    for layer in network.layers:
        live[layer.output] = run_layer(layer, [live[tensor] for tensor in layer.inputs])
        yield layer, live[layer.output]
        for tensor in forgotten[layer.at]:
            del live[tensor]


def patches(layer: Layer, inputs: Batch, each: int, seed: int) -> NDArray[np.float32]:
    """What a convolution's kernel is multiplied with, at positions drawn at random.

    Args:
        layer: A convolution.
        inputs: (n, rows, cols, channels).
        each: Positions of a film, at most.
        seed: The same seed draws the same positions.

    Returns:
        (n * positions, kernel rows * kernel cols * channels).
    """
    draw = np.random.default_rng(seed)
    window = [1, *layer.kernel.shape[1:3], 1]
    strides = [1, *layer.strides, 1]
    parts = []
    for start in range(0, len(inputs), CHUNK):
        part = np.asarray(
            tf.image.extract_patches(
                inputs[start : start + CHUNK], window, strides, [1] * 4, layer.padding
            )
        )
        rows = part.reshape(len(part), -1, part.shape[-1])
        chosen = draw.permutation(rows.shape[1])[:each]
        parts.append(rows[:, chosen].reshape(-1, part.shape[-1]))
    return np.concatenate(parts)
