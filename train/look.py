"""How a film was taken, as numbers: exposure, collimation, framing and sharpness, and nothing of the lungs."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

STRIP = 6
"""Width of the strips along the border, in pixels."""

PARTS = 6
"""Bands that each axis is divided into, for the profiles that show how the chest lies in the frame."""

RINGS = (2, 6, 12, 24, 40, 75)
"""Edges of the rings of the spectrum, in cycles per film's side."""

_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)


def exposure(film: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quantiles of the grey levels, and the parts of the film that are black and white."""
    ends = [(film < 8).mean(), (film > 247).mean()]
    return np.concatenate([np.quantile(film, _QUANTILES) / 255, ends])


def border(film: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean and deviation of the four strips along the border: collimation, labels, bare film."""
    strips = (film[:STRIP], film[-STRIP:], film[:, :STRIP], film[:, -STRIP:])
    return np.array([f(strip) / 255 for strip in strips for f in (np.mean, np.std)])


def framing(film: NDArray[np.float32]) -> NDArray[np.float64]:
    """Profiles over rows and columns, in deviations from the film's mean; left and right are not told apart."""
    small = cv2.resize(film, (PARTS, PARTS), interpolation=cv2.INTER_AREA).astype(np.float64)
    small = (small - film.mean()) / max(float(film.std()), 1.0)
    rows, columns = small.mean(axis=1), small.mean(axis=0)
    return np.concatenate([rows, (columns + columns[::-1])[: PARTS // 2] / 2])


def sharpness(film: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithm of the spectrum's power in each of `RINGS`, as a part of the power in all."""
    side = film.shape[0]
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = np.abs(np.fft.rfft2((film - film.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) * side
    rings = [power[(frequency >= low) & (frequency < high)].sum() for low, high in pairwise(RINGS)]
    return np.asarray(np.log(np.array(rings) + 1.0) - np.log(np.sum(rings) + 1.0))


def describe(tensors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The looks of films.

    Args:
        tensors: (n, 150, 150, 1), prepared films.

    Returns:
        (n, figures), not standardised.
    """
    rows = []
    for tensor in tensors:
        film = tensor[..., 0].astype(np.float32)
        rows.append(np.concatenate([part(film) for part in (exposure, border, framing, sharpness)]))
    return np.stack(rows)
