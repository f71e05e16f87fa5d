"""Where the positions of a member's feature map lie on its input, which a heat map has to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from convert.export import REMEDY, convolution_base
from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import Grid

_WINDOWED = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What the positions of a tensor see of the input, along its rows."""

    first: float
    """Middle of the first one's receptive field, as the index of a pixel."""
    step: float
    field: float
    """Pixels from one end of a receptive field to the other."""


def grid(member: Any) -> Grid:
    """Walk through the convolution base and follow the middles of the receptive fields.

    Where branches meet, the one that sees the most tells; a shortcut that skips a pixel is off by less
    than half a step of its own stage.

    Args:
        member: As train.members builds it.

    Returns:
        In pixels from the edge: the middle of the first pixel is 0.5.

    Raises:
        RecipeError: it has a layer whose rows differ from its columns.

    Source: A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural networks", 2019.
    """
    base = convolution_base(member)
    seen: dict[int, _Sight] = {id(base.inputs[0]): _Sight(0.0, 1.0, 1.0)}
    for layer in base.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        before = max((seen[id(tensor)] for tensor in inputs), key=lambda sight: sight.field)
        seen[id(layer.output)] = _through(layer, before)
    last = seen[id(base.outputs[0])]
    return Grid(first=last.first + 0.5, step=last.step)


def _through(layer: Any, before: _Sight) -> _Sight:
    if isinstance(layer, keras.layers.ZeroPadding2D):
        return _Sight(before.first - layer.padding[0][0] * before.step, before.step, before.field)
    if not isinstance(layer, _WINDOWED):
        return before
    pooling = hasattr(layer, "pool_size")
    windows, strides = layer.pool_size if pooling else layer.kernel_size, layer.strides
    if windows[0] != windows[1] or strides[0] != strides[1]:
        raise RecipeError(f"layer {layer.name} is not alike in rows and columns", REMEDY)
    reach, stride = (windows[0] - 1) * (1 if pooling else layer.dilation_rate[0]), strides[0]
    padding = 0
    if layer.padding == "same":
        # As TensorFlow pads: evenly, and what is left over comes after.
        rows, out = layer.input.shape[1], layer.output.shape[1]
        padding = max((out - 1) * stride + reach + 1 - rows, 0) // 2
    return _Sight(
        before.first + (reach / 2 - padding) * before.step,
        before.step * stride,
        before.field + reach * before.step,
    )
