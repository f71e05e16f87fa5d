"""Channel equalization: every channel of an activation gets the same range, at no cost when it runs."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from convert.export import FloatBackbone
from convert.graph import Graph
from convert.network import Batch, Network, read_network, walk

FLOOR = 1 / 64
"""A channel that is smaller than this part of the largest one is taken for that small and no smaller:
what hardly ever speaks must not be magnified without bound."""

SWEEPS = 4
"""Over the tensors of a group."""

CHANGES = (0.5, 0.7, 0.85, 1.2, 1.4, 2.0)
"""By which a tensor's step is tried."""

Channels = NDArray[np.float32]
"""(channels,)"""


def equalize(backbone: FloatBackbone, inputs: Batch) -> FloatBackbone:
    """Divide each channel of each activation by a factor of its own, and multiply where it is read.

    An int8 activation has one scale for all its channels, so that a few large channels leave few levels
    to the others. Convolution, ReLU, maximum and sum all commute with a positive factor per channel, so
    the function computed stays the same, while the quantized one gets a scale per channel for nothing.

    Args:
        backbone: Not modified.
        inputs: (n, rows, cols, 1) normalised films on which the channels' ranges are measured.

    Returns:
        A backbone whose features are those of `backbone` divided by its `gains`.

    Source: M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
    2019, section 4.1; here with ranges that are measured, and across shortcuts.
    """
    network = read_network(backbone.tflite)
    together = groups(network)
    factors = _factors(network, together, channel_ranges(network, inputs))
    graph = Graph(bytearray(backbone.tflite))
    one = np.ones(1, np.float32)
    for layer in network.layers:
        if layer.convolves:
            operator = graph.operators[layer.at]
            given = factors.get(together[layer.inputs[0]], one)
            made = factors.get(together[layer.output], one)
            kernel = graph.values(operator.inputs[1], np.float32)
            if layer.kind == "CONV_2D":  # (out, rows, cols, in)
                kernel *= given / made.reshape(-1, 1, 1, 1)
            else:  # (1, rows, cols, channels)
                kernel *= given / made
            bias = graph.values(operator.inputs[2], np.float32)
            bias /= made
    gains = backbone.gains * factors.get(together[network.sink], one)
    return dataclasses.replace(backbone, tflite=bytes(graph.content), gains=gains)


def groups(network: Network) -> dict[int, int]:
    """By tensor, a number that it shares with those that must have the same factors.

    All but a convolution passes its input's channels on, so what it reads and makes goes together.
    """
    parent = {tensor: tensor for tensor in network.names}

    def root(tensor: int) -> int:
        while parent[tensor] != tensor:
            tensor = parent[tensor]
        return tensor

    for layer in network.layers:
        if not layer.convolves:
            for tensor in layer.inputs:
                parent[root(tensor)] = root(layer.output)
    # The input's scale is the normalisation, and stays what it is.
    return {tensor: root(tensor) for tensor in network.names}


def channel_ranges(network: Network, inputs: Batch) -> dict[int, NDArray[np.float32]]:
    """By tensor, (channels,): the largest magnitude that each channel took."""
    return {
        layer.output: np.asarray(np.abs(out).max((0, 1, 2)), np.float32)
        for layer, out in walk(network, inputs)
    }


def _factors(
    network: Network, together: Mapping[int, int], ranges: Mapping[int, Channels]
) -> dict[int, Channels]:
    """By group, (channels,) factors in (0, 1]; none where they must stay what they are."""
    members: dict[int, list[Channels]] = defaultdict(list)
    for tensor, largest in ranges.items():
        if together[tensor] != together[network.source] and largest.max() > 0:
            members[together[tensor]].append(largest)
    energies = _energies(network, together)
    return {
        group: balance(np.stack(tensors), energies.get(group, np.ones_like(tensors[0])))
        for group, tensors in members.items()
    }


def _energies(network: Network, together: Mapping[int, int]) -> dict[int, Channels]:
    """By group, (channels,): how much of a channel's noise the convolutions that read it pass on."""
    energies: dict[int, Channels] = {}
    for layer in network.layers:
        if layer.convolves:
            square = np.square(layer.kernel)
            own = square.sum((0, 1, 2))  # the input channel is the last axis, depthwise or not
            group = together[layer.inputs[0]]
            energies[group] = energies.get(group, np.zeros_like(own)) + own / max(own.mean(), 1e-30)
    return energies


def balance(ranges: Channels, energies: Channels) -> Channels:
    """The factors of several tensors that must share them, with the least noise behind all.

    A tensor's step is the largest of its channels' ranges over their factors, r / g; its noise in channel
    c, in the units before, is that times g. To let each tensor t reach a step R of its own, channel c
    needs no more than g = max over t of r / R. So only the R, one for each tensor, are searched.

    Args:
        ranges: (tensors, channels).
        energies: (channels,): what noise in a channel counts.

    Returns:
        (channels,) in [FLOOR, 1].
    """
    floored = np.maximum(ranges, FLOOR * ranges.max(axis=1, keepdims=True)).astype(np.float64)

    def factors(steps: NDArray[np.float64]) -> NDArray[np.float64]:
        wanted = (floored / steps[:, None]).max(axis=0)
        return np.asarray(np.maximum(wanted / wanted.max(), FLOOR))

    def noise(steps: NDArray[np.float64]) -> float:
        made = factors(steps)
        reached = (floored / made).max(axis=1)
        return float((energies * made**2).sum() * (reached**2).sum())

    best = min((floored.max(axis=1), np.median(floored, axis=1)), key=noise)
    for _ in range(SWEEPS):
        for tensor in range(len(best)):
            for change in CHANGES:
                tried = best.copy()
                tried[tensor] *= change
                best = min((best, tried), key=noise)
    return factors(best).astype(np.float32)
