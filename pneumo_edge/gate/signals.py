"""The cheap signals: what a picture's size, shape, colour and grey levels tell before any member runs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.types import SIDE, InputTensor, Radiograph

COLOUR = (0.02, 0.06)
"""Warn and refuse above: see `Radiograph.colour`. A film has none, whatever its tint."""
ASPECT = (2.0, 3.0)
"""Warn and refuse above: the longer side by the shorter. Chest films are 1 to 1.5, narrow crops 2."""
SPREAD = 16.0
"""Refuse below: grey levels of 256 between the 1st and the 99th percentile. An empty picture."""
MEASURES = ("spread", "flat", "detail")
"""What `measure` gives, in its order."""
_WORDS = {
    "spread": ("hardly any contrast", "more contrast than a film has"),
    "flat": ("too even a range of grey levels", "large areas of one grey level"),
    "detail": ("no detail", "edges and lines as text or a drawing has them"),
}


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that speaks against a picture."""

    refuse: bool
    """Or only worth a warning."""
    says: str
    """Completes "the picture ...". """


def measure(tensors: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, 3) of (n, 150, 150, 1) prepared films: `MEASURES`.

    spread: grey levels between the 1st and the 99th percentile. flat: share of the pixels within 2 grey
    levels of the most frequent one. detail: mean magnitude of the Laplacian over the standard deviation.
    """
    return np.array([_measure(film[:, :, 0]) for film in tensors]).reshape(-1, len(MEASURES))


def _measure(film: NDArray[np.uint8]) -> tuple[float, float, float]:
    low, high = np.percentile(film, (1, 99))
    counts = np.bincount(film.ravel(), minlength=256)
    window = np.convolve(counts, np.ones(5, np.int64), "same")
    edges = np.abs(cv2.Laplacian(film, cv2.CV_32F)).mean()
    return float(high - low), float(window.max() / film.size), float(edges / (film.std() + 1))


def look(
    film: Radiograph, tensor: InputTensor, bounds: NDArray[np.float64] | None = None
) -> list[Note]:
    """What the cheap signals say against a picture.

    Args:
        film: As decoded.
        tensor: The same, prepared.
        bounds: (3, 2) lowest and highest of each measure on training films, widened; None for a bundle
            without them.
    """
    rows, cols = film.pixels.shape
    aspect = max(rows, cols) / min(rows, cols)
    notes = [
        *_above(film.colour, COLOUR, "is in colour, as no radiograph is"),
        *_above(aspect, ASPECT, f"is {cols} x {rows} pixels, longer than a chest film"),
    ]
    if min(rows, cols) < SIDE:
        says = (
            f"is {cols} x {rows} pixels, coarser than the {SIDE} x {SIDE} that the members look at"
        )
        notes.append(Note(False, says))
    found = measure(tensor.pixels)[0]
    if found[0] < SPREAD:
        return [*notes, Note(True, f"has hardly any contrast: {found[0]:.0f} grey levels of 256")]
    for name, value, (low, high) in zip(
        MEASURES, found, bounds if bounds is not None else (), strict=False
    ):
        if not low <= value <= high:
            says = f"has {_WORDS[name][int(value > high)]} ({name} {value:.2f}, films {low:.2f} to {high:.2f})"
            notes.append(Note(True, says))
    return notes


def _above(value: float, limits: tuple[float, float], says: str) -> list[Note]:
    warn, refuse = limits
    return [Note(value > refuse, says)] if value > warn else []
