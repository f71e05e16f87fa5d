"""Activations in more than 256 levels, in a graph that is int8 throughout.

A tensor's channels are made k times, each copy with a bias of its own, a k-th of a step apart. Each copy is
rounded to int8; their mean is the activation rounded to a k-th of a step. Who reads them multiplies each copy
with a k-th of its weights. The rounded weights of the copies need not be alike, so that they become finer too.
It costs multiply-accumulates, which are many times cheaper in int8 than what leaving a layer in float32 costs.

The offsets lie around zero, (i - (k - 1) / 2) / k of a step for copy i: so the mean of the copies is the value
rounded to the nearest k-th, also beside the end of the range where a ReLU cuts.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils as fb
from numpy.typing import NDArray

from convert.equalize import groups
from convert.export import FloatBackbone
from convert.network import Network, read_network
from convert.sensitivity import Noise

Copies = dict[int, int]
"""Tensor: how many copies of its channels there are, where more than one."""

MOST = 4
"""Copies of a tensor."""

EXTRA = 0.5
"""Part of a member's cost that may be added."""

AT_ONCE = 16
"""Channels that engines multiply with their weights in one go."""

READERS = ("CONV_2D", "ADD", "MAX_POOL_2D", "PAD")
"""What may make and read copies. A depthwise convolution would have to make as many as it reads."""


def widen(backbone: FloatBackbone, copies: Copies) -> FloatBackbone:
    """The same function with several copies of some tensors' channels.

    Args:
        backbone: Not modified; none of its tensors has copies yet.
        copies: From `choose_finer`: tensors whose channels go together have as many.

    Returns:
        A backbone whose tensors have the same numbers and names; its `copies` tells of them.
    """
    model = fb.read_model_from_bytearray(bytearray(backbone.tflite))
    graph = model.subgraphs[0]
    for layer in read_network(backbone.tflite).layers:
        if layer.convolves:
            given, made = (copies.get(t, 1) for t in (layer.inputs[0], layer.output))
            _, kernel, bias = (graph.tensors[index] for index in graph.operators[layer.at].inputs)
            if not layer.depthwise:  # (out, rows, cols, in)
                _store(model, kernel, np.tile(layer.kernel / given, (made, 1, 1, given)))
                _store(model, bias, np.tile(layer.bias, made))
    for tensor, count in copies.items():
        shape = np.array(graph.tensors[tensor].shape, np.int32)  # others are stored as 64 bits
        shape[-1] *= count
        graph.tensors[tensor].shape = shape
    tflite = bytes(fb.convert_object_to_bytearray(model))
    return dataclasses.replace(backbone, tflite=tflite, copies=dict(copies))


def _store(model: Any, tensor: Any, values: NDArray[np.float32]) -> None:
    tensor.shape = np.array(values.shape, np.int32)
    data = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
    model.buffers[tensor.buffer].data = data


def choose_finer(backbone: FloatBackbone, noise: Noise, wanted: float) -> Copies | None:
    """Copies with which the error should fall to `wanted` of what it is, at least cost.

    The contributions are taken for independent of one another, a tensor's for inverse to its copies, and that of
    the weights for what it is. The tensors whose channels go together, along a shortcut, have as many copies
    each. One such group after the other has its copies doubled, each time the one that takes off most error for
    what it costs.

    Args:
        backbone: None of its tensors has copies yet.
        noise: Of the backbone as it was rounded.
        wanted: Part of the error that may be left.

    Returns:
        None where no copies that are allowed would do.
    """
    network = read_network(backbone.tflite)
    positions = _positions(backbone)
    root = groups(network)
    tensors = defaultdict(list)
    for tensor, group in root.items():
        tensors[group].append(tensor)
    squares: dict[int, float] = defaultdict(float)
    for tensor, spread in noise.tensors.items():
        squares[root[tensor]] += spread**2
    free = [group for group in tensors if _may_be_copied(network, tensors[group])]
    fixed, cost = noise.weights**2, _cost(network, positions, {})
    whole = fixed + sum(squares.values())
    limit, count = (1 + EXTRA) * cost, dict.fromkeys(free, 1)

    def copies(counts: Mapping[int, int]) -> Copies:
        return {t: counts[g] for g in free for t in tensors[g] if counts[g] > 1}

    def left() -> float:
        return fixed + sum(squares[g] / count.get(g, 1) ** 2 for g in tensors)

    while left() > wanted**2 * whole:
        steps, now = [], _cost(network, positions, copies(count))
        for group in free:
            tried = count | {group: 2 * count[group]}
            dearer = _cost(network, positions, copies(tried))
            if tried[group] <= MOST and dearer <= limit:
                gain = squares[group] / count[group] ** 2 * 0.75  # a fourth of it stays
                steps.append((gain / max(dearer - now, 1), group))
        if not steps:
            return None
        count[max(steps)[1]] *= 2
    return copies(count)


def _may_be_copied(network: Network, tensors: list[int]) -> bool:
    if network.source in tensors or network.sink in tensors:
        return False
    beside = [
        layer
        for layer in network.layers
        if layer.output in tensors or any(t in tensors for t in layer.inputs)
    ]
    return all(layer.kind in READERS for layer in beside)


def _positions(backbone: FloatBackbone) -> dict[int, int]:
    """By tensor, rows times columns."""
    tensors = fb.read_model_from_bytearray(bytearray(backbone.tflite)).subgraphs[0].tensors
    return {
        index: int(np.prod(tensor.shape[1:3]))
        for index, tensor in enumerate(tensors)
        if tensor.shape is not None
    }


def _cost(network: Network, positions: Mapping[int, int], copies: Mapping[int, int]) -> int:
    """Multiply-accumulates of the convolutions; with few channels they take as long as with AT_ONCE."""
    total = 0
    for layer in network.layers:
        if layer.depthwise:
            total += positions[layer.output] * layer.kernel.size
        elif layer.convolves:
            out, rows, cols, channels = layer.kernel.shape
            read = -(-channels * copies.get(layer.inputs[0], 1) // AT_ONCE) * AT_ONCE
            made = out * copies.get(layer.output, 1)
            total += positions[layer.output] * made * rows * cols * read
    return total
