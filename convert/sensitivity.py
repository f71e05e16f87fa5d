"""Which layers a member's error comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.export import FloatBackbone
from convert.head import Classifier, logits
from convert.network import Batch, Layer, Network, read_network, run_layer
from convert.ranges import fake_quantize, whole_range
from convert.rounding import nearest, scales


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one layer costs when it alone is in int8."""

    layer: int
    """Its position."""
    name: str
    """Of the tensor that it makes."""
    error: float
    """Mean |d logit|."""


def rank_layers(
    backbone: FloatBackbone, classifier: Classifier, inputs: Batch
) -> list[Contribution]:
    """Round one layer's weights and output at a time, all others in float, and see how the logit moves.

    Args:
        backbone: Not modified.
        classifier: For its features.
        inputs: (n, rows, cols, 1) normalised films; a few are enough for an order.

    Returns:
        Every convolution and sum, the worst first.
    """
    network = read_network(backbone.tflite)
    values = {network.source: inputs}
    for layer in network.layers:
        values[layer.output] = run_layer(layer, [values[t] for t in layer.inputs])
    exact = logits(classifier, values[network.sink])
    found = []
    for layer in network.layers:
        if not layer.moves:
            made = _rounded(layer, [values[t] for t in layer.inputs])
            features = _run_from(network, values, layer, made)
            error = float(np.abs(logits(classifier, features) - exact).mean())
            found.append(Contribution(layer.at, network.names[layer.output], error))
    return sorted(found, key=lambda c: -c.error)


def left_in_float(network: Network, worst: Iterable[int]) -> set[int]:
    """The layers that must stay in float so that the outputs of the `worst` do.

    A tensor stays in float if its readers do too; and one that only moves values is as good as read.
    """
    kept: set[int] = set()
    pending = {layer.at: layer for layer in network.layers if layer.at in set(worst)}
    while pending:
        at, layer = pending.popitem()
        kept.add(at)
        for reader in network.readers(layer.output):
            kept.add(reader.at)
            if reader.moves:
                pending[reader.at] = reader
    return kept


def _rounded(layer: Layer, inputs: Sequence[Batch]) -> Batch:
    """A layer's output with the nearest levels of its weights, no channel off in the mean, in int8."""
    made = run_layer(layer, inputs, relu=False)
    if layer.convolves:
        mean = made.mean((0, 1, 2))
        made = run_layer(layer, inputs, _rounded_kernel(layer), relu=False)
        made += mean - made.mean((0, 1, 2))
    made = np.maximum(made, 0) if layer.relu else made
    return fake_quantize(made, whole_range(made))


def _rounded_kernel(layer: Layer) -> NDArray[np.float32]:
    out = -1 if layer.depthwise else 0  # the axis of the output channels
    rows = np.moveaxis(layer.kernel, out, 0)
    flat = rows.reshape(len(rows), -1)
    steps = scales(flat)
    rounded = nearest(flat, steps) * steps[:, None]
    return np.moveaxis(rounded.reshape(rows.shape), 0, out)


def _run_from(
    network: Network, values: dict[int, Batch], changed: Layer, made: Batch
) -> NDArray[np.float32]:
    """The features where one layer yields something else; what does not depend on it is not run again."""
    other = {changed.output: made}
    for layer in network.layers:
        if layer.at > changed.at and any(t in other for t in layer.inputs):
            other[layer.output] = run_layer(layer, [other.get(t, values[t]) for t in layer.inputs])
    return other[network.sink]
