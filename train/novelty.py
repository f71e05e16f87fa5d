"""Whether a drawn film is anybody's: its likeness to the nearest real film, beside that of real films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

THUMB = 64
"""Rows and columns at which films are compared, in pixels."""


@dataclass(frozen=True, slots=True)
class Novelty:
    """Likeness is the correlation of two films after the mean of all films is taken from both, -1 to 1."""

    nearest: float
    """Of the drawn film to the most similar real one."""

    others_median: float
    """Of a real film to the most similar one of another patient: the median over all films."""

    others_high: float
    """The same, 95th percentile."""

    @property
    def is_nobodys(self) -> bool:
        """Whether the drawn film is less like any real one than two patients' films often are."""
        return self.nearest < self.others_high


class RealFilms:
    """Real films and their patients, to compare drawn ones with."""

    def __init__(self, films: NDArray[np.float32], patients: Sequence[str]) -> None:
        """Compare all pairs once.

        Args:
            films: (n, side * side) square films, any range; of at least two patients.
            patients: Their keys, same order.
        """
        thumbs = np.stack([_thumb(film) for film in films])
        self._mean = thumbs.mean(axis=0)
        self._directions = _unit(thumbs - self._mean)
        likeness = self._directions @ self._directions.T
        keys = np.unique(np.asarray(patients), return_inverse=True)[1]
        likeness[keys[:, None] == keys[None, :]] = -np.inf
        others = likeness.max(axis=1)
        self._others_median = float(np.median(others))
        self._others_high = float(np.percentile(others, 95))

    def novelty(self, film: NDArray[np.float32] | NDArray[np.uint8]) -> Novelty:
        """Compare a drawn film, square and of any size, with every real one."""
        direction = _unit(_thumb(film.astype(np.float32).ravel()) - self._mean)
        return Novelty(
            float((self._directions @ direction).max()),
            self._others_median,
            self._others_high,
        )


def _thumb(film: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shrink to 64 x 64, and remove brightness and contrast; (4096,)."""
    side = int(np.sqrt(film.size))
    small = cv2.resize(film.reshape(side, side), (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return np.asarray((small - small.mean()) / (small.std() + 1e-6), dtype=np.float32).ravel()


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)
