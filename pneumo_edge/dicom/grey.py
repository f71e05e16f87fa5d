"""From stored values to grey levels, in the order of the standard.

Source: DICOM PS3.4, N.2 (the pipeline); PS3.3, C.11.1 (modality), C.11.2 (values of interest) and
C.11.6 (presentation); PS3.14 (what the result, P-values, means).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.dicom.image import Image, Lut, Window

Floats = NDArray[np.float64]

_BLOCK = 64
"""Rows that are looked up at a time."""


def render(stored: NDArray[np.integer], image: Image) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Grey levels of an image, larger is brighter.

    The transformations are functions of one stored value, so they are evaluated once for each value
    that occurs between the lowest and the highest, in double precision, and looked up.

    Args:
        stored: (rows, cols), unused bits removed, sign extended. Not modified.
        image: How to read them.

    Returns:
        (rows, cols), 0 to 255 in uint8 for 8 bits stored, else 0 to 65535 in uint16, rounded to nearest;
        padding is 0, black.
    """
    low, high = int(stored.min()), int(stored.max())
    values = np.arange(low, high + 1, dtype=np.float64)
    shown = _voi(_modality(values, image), image, _needed_bits(stored, image))
    if image.inverse:  # after the values of interest: PS3.3, C.7.6.3.1.2
        shown = 1 - shown
    if image.padding is not None:
        shown[(values >= image.padding[0]) & (values <= image.padding[1])] = 0
    kind = np.uint8 if image.bits_stored == 8 else np.uint16
    table = np.rint(shown * np.iinfo(kind).max).astype(kind)
    grey = np.empty(stored.shape, kind)
    for row in range(0, len(stored), _BLOCK):
        # In blocks, because numpy makes a 64-bit index of every pixel that is looked up.
        block = stored[row : row + _BLOCK]
        np.take(table, np.subtract(block, low, dtype=np.intp), out=grey[row : row + _BLOCK])
    return grey


def _modality(values: Floats, image: Image) -> Floats:
    """PS3.3, C.11.1: a table, or a slope and an intercept; never both."""
    if image.modality is not None:
        return _look_up(values, image.modality)
    return np.asarray(values * image.slope + image.intercept)


def _voi(values: Floats, image: Image, needed_bits: int) -> Floats:
    """PS3.3, C.11.2: a table, else a window, else the range of the values as it is; 0 to 1.

    Of a table and windows one may be applied, and which is the reader's choice (C.11.2.1.2.1): the
    table, which is the maker's own curve where a window is an approximation of it.
    """
    if image.voi is not None:
        return np.asarray(_look_up(values, image.voi) / (2**image.voi.bits - 1))
    if image.window is not None:
        return _windowed(values, image.window)
    low, high = _range(image, needed_bits)
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)


def _windowed(values: Floats, window: Window) -> Floats:
    """PS3.3, C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT)."""
    if window.function == "SIGMOID":
        # Beyond 700 the exponential overflows, and the sigmoid is 0 or 1 long before.
        slope = np.clip(-4 * (values - window.centre) / window.width, -700, 700)
        return np.asarray(1 / (1 + np.exp(slope)))
    if window.function == "LINEAR_EXACT":
        return np.clip((values - window.centre) / window.width + 0.5, 0, 1)
    if window.width == 1:  # the formula below would divide by zero; the standard makes it a step
        return np.asarray(values > window.centre - 0.5, np.float64)
    return np.clip((values - (window.centre - 0.5)) / (window.width - 1) + 0.5, 0, 1)


def _look_up(values: Floats, lut: Lut) -> Floats:
    """The table's entries; beyond its ends, those at its ends."""
    first = lut.first
    if first > 32767 and values.min() < 0:  # written as US where the inputs made it SS
        first -= 65536
    index = np.clip(np.floor(values) - first, 0, len(lut.entries) - 1)
    return np.asarray(lut.entries[index.astype(np.int64)], np.float64)


def _range(image: Image, needed_bits: int) -> tuple[float, float]:
    """The lowest and the highest value that the modality transformation can yield."""
    if image.modality is not None:
        return 0.0, 2.0**image.modality.bits - 1
    ends = (-(2 ** (needed_bits - 1)), 2 ** (needed_bits - 1) - 1)
    stored = ends if image.signed else (0, 2**needed_bits - 1)
    first, last = (end * image.slope + image.intercept for end in stored)
    return min(first, last), max(first, last)


def _needed_bits(stored: NDArray[np.integer], image: Image) -> int:
    """Fewer than 16 where a writer named its container's bits and the brightest pixel needs less.

    The same rule as for other 16-bit files, which would be nearly black else. It decides only where
    the file gives neither window nor table.
    """
    if image.signed or image.bits_stored != 16:
        return image.bits_stored
    needed = int(stored.max()).bit_length()
    return next(depth for depth in (8, 10, 12, 14, 16) if needed <= depth)
