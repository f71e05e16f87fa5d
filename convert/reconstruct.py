"""Sequential reconstruction: each layer is rounded on what the rounded layers before it yield."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convert.export import FloatBackbone
from convert.network import Batch, Layer, patches, read_network, run_layer
from convert.ranges import Range, apart, best_range, fake_quantize, whole_range
from convert.rounding import (
    DAMPING,
    REFIT_DAMPING,
    joint_spread,
    refit,
    round_weights,
    scales,
    study,
)

Levels = NDArray[np.int8]

ROWS = 8192
"""Patches that a layer's statistics are taken from, or more where it has many weights."""

ROWS_PER_INPUT = 3
"""So many times more patches than weights of one output channel, where films have them."""


@dataclass(frozen=True, slots=True, eq=False)
class RoundedWeights:
    """A convolution's weights in int8."""

    levels: NDArray[np.int8]
    """Of the kernel's shape."""
    steps: NDArray[np.float32]
    """(out,): the real value of one level, by output channel."""
    bias: NDArray[np.float32]
    """(out,), in real units."""

    def kernel(self, layer: Layer) -> NDArray[np.float32]:
        """As real values."""
        shape = (1, 1, 1, -1) if layer.depthwise else (-1, 1, 1, 1)
        return self.levels * self.steps.reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """Everything that a static int8 graph needs beside the float one."""

    weights: dict[int, RoundedWeights]
    """By position of the convolution; none for those that are left in float."""
    ranges: dict[int, Range]
    """By tensor."""


def input_range(backbone: FloatBackbone) -> Range:
    """All that the input can take, so that its quantization is the normalisation exactly."""
    return -backbone.scale * backbone.mean, backbone.scale * (255 - backbone.mean)


def reconstruct(
    backbone: FloatBackbone,
    inputs: Batch,
    floats: Collection[int] = (),
    progress: Callable[[int], None] | None = None,
) -> Reconstruction:
    """Walk through the layers once, in float and as they will be in int8, and fit each to the other.

    Args:
        backbone: Not modified.
        inputs: (n, rows, cols, 1) normalised representative films.
        floats: Positions of layers that stay in float.
        progress: Called with 1 after every layer.

    Returns:
        Weights and ranges.
    """
    network = read_network(backbone.tflite)
    exact, rounded = {network.source: inputs}, {network.source: inputs}
    ranges: dict[int, Range] = {network.source: input_range(backbone)}
    weights: dict[int, RoundedWeights] = {}
    forgotten = network.forgotten()
    makers = {layer.output: layer.at for layer in network.layers}
    for layer in network.layers:
        given = [rounded[t] for t in layer.inputs]
        if layer.at not in floats:  # what float layers made comes to an int8 one in int8
            given = [
                fake_quantize(batch, ranges[t]) if makers.get(t) in floats else batch
                for t, batch in zip(layer.inputs, given, strict=True)
            ]
        # The features' errors reach the answer at once: none of their values is cut off.
        choose = whole_range if layer.output == network.sink else best_range
        if layer.convolves and layer.at not in floats:
            target, made, fitted = _round(layer, exact[layer.inputs[0]], given[0])
            ranges[layer.output] = choose(np.maximum(made, 0) if layer.relu else made)
            copies = backbone.copies.get(layer.output, 1)
            offsets = apart(ranges[layer.output], copies, made.shape[-1])
            made += offsets
            weights[layer.at] = dataclasses.replace(fitted, bias=fitted.bias + offsets)
            for batch in (target, made) if layer.relu else ():
                np.maximum(batch, 0, out=batch)
        else:
            target, made = (
                run_layer(layer, [exact[t] for t in layer.inputs]),
                run_layer(layer, given),
            )
            ranges[layer.output] = ranges[layer.inputs[0]] if layer.moves else choose(made)
        if not (layer.moves or layer.at in floats):
            made = fake_quantize(made, ranges[layer.output])
        exact[layer.output], rounded[layer.output] = target, made
        for tensor in forgotten[layer.at]:
            del exact[tensor], rounded[tensor]
        if progress is not None:
            progress(1)
    return Reconstruction(weights, ranges)


def _round(layer: Layer, exact: Batch, given: Batch) -> tuple[Batch, Batch, RoundedWeights]:
    """Round one convolution, and set its bias such that no channel is off in the mean.

    Returns:
        Its output in float, its output with int8 weights, both before a ReLU, and those.
    """
    fit = _fit_depthwise if layer.depthwise else _fit_dense
    levels, steps = fit(layer, exact, given)
    draft = RoundedWeights(levels, steps, layer.bias)
    target = run_layer(layer, [exact], relu=False)
    made = run_layer(layer, [given], draft.kernel(layer), relu=False)
    shift = target.mean((0, 1, 2)) - made.mean((0, 1, 2))
    made += shift
    return target, made, RoundedWeights(levels, steps, layer.bias + shift)


def _samples(layer: Layer, exact: Batch, given: Batch) -> tuple[Batch, Batch]:
    """Centred patches of both walks at the same positions."""
    size = int(np.prod(layer.kernel.shape[1:3]) * given.shape[-1])
    wanted = ROWS if layer.depthwise else max(ROWS, ROWS_PER_INPUT * size)
    each = -(-wanted // len(given))
    before, after = (patches(layer, batch, each, seed=layer.at) for batch in (exact, given))
    return before - before.mean(0), after - after.mean(0)


def _fit_dense(layer: Layer, exact: Batch, given: Batch) -> tuple[Levels, NDArray[np.float32]]:
    """Levels of the kernel's shape, and steps."""
    before, after = _samples(layer, exact, given)
    levels, steps = _fit_rows(layer.kernel.reshape(len(layer.kernel), -1), before, after)
    return levels.reshape(layer.kernel.shape), steps


def _fit_depthwise(layer: Layer, exact: Batch, given: Batch) -> tuple[Levels, NDArray[np.float32]]:
    """As the dense fit, for each channel on its own."""
    channels = layer.kernel.shape[-1]
    taps = layer.kernel.reshape(-1, channels)
    before, after = (
        np.ascontiguousarray(x.reshape(len(x), -1, channels).transpose(2, 0, 1))
        for x in _samples(layer, exact, given)
    )
    parts = [_fit_rows(taps[:, [c]].T, before[c], after[c]) for c in range(channels)]
    levels = np.concatenate([part[0] for part in parts]).T
    return levels.reshape(layer.kernel.shape), np.concatenate([part[1] for part in parts])


def _fit_rows(
    kernel: NDArray[np.float32], before: Batch, after: Batch
) -> tuple[Levels, NDArray[np.float32]]:
    """Refit and round (out, in) weights on the exact and the rounded inputs, both (n, in)."""
    spread = joint_spread(after)
    refitted = refit(kernel, study(spread, REFIT_DAMPING), before - after, after)
    steps = scales(refitted)
    return round_weights(refitted, steps, study(spread, DAMPING)).astype(np.int8), steps
