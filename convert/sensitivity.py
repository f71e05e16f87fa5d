"""Which layers a member's error comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.export import FloatBackbone
from convert.head import Classifier, line, logits
from convert.network import Batch, Layer, Network, read_network, run_layer, walk
from convert.ranges import fake_quantize, whole_range
from convert.reconstruct import Reconstruction
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


@dataclass(frozen=True, slots=True)
class Noise:
    """What a rounded member's logit is off by from film to film: what a line fitted to it leaves.

    The parts have hardly anything to do with each other, so that their squares add up.
    """

    tensors: dict[int, float]
    """By tensor, where it is rounded alone, behind the rounded weights."""
    weights: float
    """Of all rounded weights, where no activation is rounded."""


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
    values = _values(network, inputs)
    exact = logits(classifier, values[network.sink])

    def rounded(layer: Layer) -> Batch:
        return _rounded(layer, [values[t] for t in layer.inputs])

    found = [
        Contribution(layer.at, network.names[layer.output], float(np.abs(moved - exact).mean()))
        for layer, moved in _each_alone(network, values, classifier, rounded)
    ]
    return sorted(found, key=lambda c: -c.error)


def measure_noise(
    backbone: FloatBackbone,
    classifier: Classifier,
    inputs: Batch,
    exact: NDArray[np.float64],
    rounded: Reconstruction,
) -> Noise:
    """Round one tensor at a time of a member whose weights are rounded, and see how the logit spreads.

    What moves the logits of all films alike is not counted: `correct_logit` takes it away.

    Args:
        backbone: Not modified.
        classifier: For its features.
        inputs: (n, rows, cols, 1) normalised films that nothing was fitted on.
        exact: (n,) their logits in full precision.
        rounded: Of the backbone, no layer of which was left in float.
    """
    network = read_network(backbone.tflite)
    layers = tuple(
        dataclasses.replace(layer, kernel=fitted.kernel(layer), bias=fitted.bias)
        if (fitted := rounded.weights.get(layer.at)) is not None
        else layer
        for layer in network.layers
    )
    network = dataclasses.replace(network, layers=layers)
    values = _values(network, inputs)
    plain = logits(classifier, values[network.sink])

    def coarse(layer: Layer) -> Batch:
        return fake_quantize(values[layer.output], rounded.ranges[layer.output])

    alone = _each_alone(network, values, classifier, coarse)
    return Noise(
        {layer.output: _spread(moved, plain) for layer, moved in alone}, _spread(plain, exact)
    )


def _values(network: Network, inputs: Batch) -> dict[int, Batch]:
    """Every tensor."""
    made = {layer.output: batch for layer, batch in walk(network, inputs)}
    return {network.source: inputs, **made}


def _each_alone(
    network: Network,
    values: dict[int, Batch],
    classifier: Classifier,
    rounded: Callable[[Layer], Batch],
) -> Iterator[tuple[Layer, NDArray[np.float64]]]:
    """Each layer that does more than move values, and the logits where its output alone is rounded."""
    for layer in network.layers:
        if not layer.moves:
            yield layer, logits(classifier, _run_from(network, values, layer, rounded(layer)))


def _spread(moved: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    slope, shift = line(moved, exact) or (1.0, 0.0)
    return float(np.std(slope * moved + shift - exact))


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
