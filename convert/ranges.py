"""An activation's range: what its 256 levels are spread over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
"""Lowest and highest value; zero lies between them."""

STEPS = 255
"""Of an int8 tensor with a zero point."""

SHARES = np.linspace(0.4, 1.0, 25)
"""How much of the whole range is tried."""

SAMPLE = 200_000
"""Values on which the shares are compared."""


def whole_range(values: NDArray[np.float32]) -> Range:
    """From the smallest to the largest value, zero included."""
    return min(float(values.min()), 0.0), max(float(values.max()), 0.0)


def fake_quantize(values: NDArray[np.float32], limits: Range) -> NDArray[np.float32]:
    """Values after a round trip through int8, with a zero point that is a whole level."""
    low, high = limits
    if not high > low:
        return values
    step = np.float32((high - low) / STEPS)
    zero = np.float32(np.rint(-low / step))
    levels = np.rint(values / step)
    levels += zero
    np.clip(levels, 0, STEPS, out=levels)
    levels -= zero
    levels *= step
    return np.asarray(levels, np.float32)


def best_range(values: NDArray[np.float32]) -> Range:
    """The part of the whole range with the least mean squared error.

    A few extreme values cost the many others their levels; cutting some off costs less. Both ends are
    drawn in by the same share.
    """
    low, high = whole_range(values)
    stride = len(values.reshape(-1)) // SAMPLE | 1  # odd: no multiple of the number of channels
    sample = values.reshape(-1)[::stride]
    errors = [
        float(np.mean((fake_quantize(sample, (low * share, high * share)) - sample) ** 2))
        for share in SHARES
    ]
    share = float(SHARES[int(np.argmin(errors))])
    return low * share, high * share


def apart(limits: Range, copies: int, channels: int) -> NDArray[np.float32]:
    """(channels,): what is added to each channel of a tensor whose channels are there in so many copies.

    The copies' offsets lie around zero, each one step's `copies`-th from the next; see `finer`.
    """
    low, high = limits
    places = (np.arange(copies) - (copies - 1) / 2) / copies
    return np.repeat(places * (high - low) / STEPS, channels // copies).astype(np.float32)
