"""Convolutions without weights behind filled ones: they start small, from noise or by passing on what those see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError

NOISE = 0.1
"""Share of a He-normal kernel that is added to the identity, so that no two channels stay alike."""


GAIN = 0.25
"""Spread of a channel as it is handed on, where ImageNet's VGGs put out hundreds. A head of thousands of positive
inputs is thrown about by each step of Adam, whose size does not depend on theirs; small inputs keep its first
steps small."""


def spread(base: Any, layer: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Standard deviation of each channel that a layer puts out, on some films.

    Args:
        base: A convolution base.
        layer: Name of a layer of it.
        images: (n, rows, cols, 3), as the base takes them.

    Returns:
        (channels,), at least a thousandth of the largest, so that a dead channel stays finite.
    """
    seen = keras.Model(base.input, base.get_layer(layer).output).predict(images, verbose=0)
    deviation = seen.std(axis=(0, 1, 2))
    return np.asarray(np.maximum(deviation, 1e-3 * deviation.max()), dtype=np.float32)


def _kernel(
    shape: tuple[int, ...], divide: NDArray[np.float32], noise: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Identity from input channel i to output channel i, divided; He-normal where no input passes."""
    rows, cols, inputs, outputs = shape
    random = rng.normal(0, np.sqrt(2 / (rows * cols * inputs)), shape)
    passed = min(inputs, outputs)
    random[..., :passed] *= noise
    kernel = random / divide[:, np.newaxis]
    kernel[rows // 2, cols // 2, range(passed), range(passed)] += 1 / divide[:passed]
    return np.asarray(kernel, dtype=np.float32)


def _rest(base: Any, filled: Collection[str]) -> tuple[Any, list[Any]]:
    """The last filled convolution, and those behind it."""
    chain = [layer for layer in base.layers if isinstance(layer, keras.layers.Conv2D)]
    known = [layer for layer in chain if layer.name in filled]
    if not known or not base.name.startswith("vgg"):
        raise RecipeError(
            f"{base.name} with {len(known)} filled convolutions cannot pass anything on",
            "give a VGG the weights of its first blocks, or choose missing = random",
        )
    return known[-1], chain[chain.index(known[-1]) + 1 :]


def scale_down(base: Any, filled: Collection[str], images: NDArray[np.float32], seed: int) -> int:
    """Fill the convolutions behind the last filled layer at random, for features of spread `GAIN`.

    Random kernels keep the size of what they read, which is hundreds here: the head's first logits would be
    too, and the first steps of training would go into shrinking them.

    Args:
        base: A VGG base, a chain of 3x3 convolutions; changed in place.
        filled: Names of the layers that have weights.
        images: (n, rows, cols, 3) training films as the base takes them; a few dozen.
        seed: Of the kernels.

    Returns:
        How many convolutions were filled.

    Raises:
        RecipeError: the base is no chain of convolutions, or none of it has weights.

    Source: He et al., "Delving deep into rectifiers", 2015, for the kernels; Mishkin and Matas, "All you need
    is a good init", 2016, for the division.
    """
    last, rest = _rest(base, filled)
    rng = np.random.default_rng(seed)
    divide = spread(base, last.name, images) / np.float32(GAIN)
    for layer in rest:
        rows, cols, inputs, outputs = shape = tuple(layer.kernel.shape)
        kernel = rng.normal(0, np.sqrt(2 / (rows * cols * inputs)), shape) / divide[:, np.newaxis]
        layer.set_weights([kernel.astype(np.float32), np.zeros(outputs, np.float32)])
        divide = np.ones(outputs, np.float32)
    return len(rest)


def pass_through(
    base: Any,
    filled: Collection[str],
    images: NDArray[np.float32],
    seed: int,
    noise: float = NOISE,
) -> int:
    """Fill the convolutions behind the last filled layer with an identity and a little noise.

    What the filled layers see then reaches the head from the first step on, through max pools and ReLUs
    that leave it whole; a random stack would have to learn that first. The first of them also divides
    each channel by its spread, so that the head sees features of one size, `GAIN`.

    Args:
        base: A VGG base, a chain of 3x3 convolutions; changed in place.
        filled: Names of the layers that have weights.
        images: (n, rows, cols, 3) training films as the base takes them; a few dozen.
        seed: Of the noise, and of the channels that no input fills.
        noise: Share of a He-normal kernel beside the identity.

    Returns:
        How many convolutions were filled.

    Raises:
        RecipeError: the base is no chain of convolutions, or none of it has weights.

    Source: S. Zagoruyko and N. Komodakis, "DiracNets", 2017; D. Mishkin and J. Matas, "All you need is a
    good init", 2016, for the division.
    """
    last, rest = _rest(base, filled)
    rng = np.random.default_rng(seed)
    divide = spread(base, last.name, images) / np.float32(GAIN)
    for layer in rest:
        shape = tuple(layer.kernel.shape)
        layer.set_weights([_kernel(shape, divide, noise, rng), np.zeros(shape[-1], np.float32)])
        divide = np.ones(shape[-1], np.float32)
    return len(rest)
