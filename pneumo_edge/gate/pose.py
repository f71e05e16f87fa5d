"""How a film lies: turned, inverted, mirrored; and setting it right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.gate.perceptron import Perceptron
from pneumo_edge.types import InputTensor, Radiograph

POSES = 16
"""Four turns, inverted or not, mirrored or not."""


@dataclass(frozen=True, slots=True)
class Pose:
    """What was done to an upright film: mirrored first, then turned, then inverted."""

    turns: int = 0
    """Quarter turns counter-clockwise, 0 to 3."""
    inverted: bool = False
    """Bright where film is dark."""
    mirrored: bool = False

    @classmethod
    def of(cls, number: int) -> Pose:
        """The pose of that class of the classifier."""
        return cls(number >> 1 & 3, bool(number >> 3), bool(number & 1))

    def apply(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Lay an upright film so: (..., rows, cols) uint8 or a float of 0 to 255."""
        if self.mirrored:
            pixels = pixels[..., ::-1]
        pixels = np.rot90(pixels, self.turns, (-2, -1))
        return 255 - pixels if self.inverted else pixels

    def undo(self) -> str:
        """What sets the film right, in words; the mirror apart. Empty for an upright film."""
        parts = []
        if self.turns:
            # Counter-clockwise by a quarter is undone clockwise.
            degrees = {1: "90 degrees clockwise", 2: "180 degrees", 3: "90 degrees anticlockwise"}
            parts.append(f"rotated by {degrees[self.turns]}")
        if self.inverted:
            parts.append("inverted")
        return " and ".join(parts)

    def told(self) -> str:
        """How the film lies, in words."""
        lies = {0: "", 1: "on its side", 2: "upside down", 3: "on its side"}[self.turns]
        parts = [*([f"lies {lies}"] if lies else []), *(["is inverted"] if self.inverted else [])]
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the classifier makes of one film."""

    pose: Pose
    """The likeliest turn and polarity; not mirrored."""
    probability: float
    """Of that turn and polarity, mirrored or not."""
    mirrored: float
    """Probability that the film, once it is upright, is mirrored."""


def see(classifier: Perceptron, tensor: InputTensor) -> Seen:
    """How a prepared film lies."""
    return seen(classifier.of(tensor))


def seen(probabilities: NDArray[np.float32]) -> Seen:
    """Of (16,) probabilities of the poses."""
    pairs = probabilities.reshape(POSES // 2, 2)
    best = int(pairs.sum(1).argmax())
    either = float(pairs[best].sum())
    return Seen(Pose.of(2 * best), either, float(pairs[best, 1]) / max(either, 1e-9))


def upright(film: Radiograph, pose: Pose) -> Radiograph:
    """Turn a film back, and invert it back; not mirrored back."""
    pixels = np.rot90(film.pixels, -pose.turns)
    if pose.inverted:
        pixels = (2**film.bits_stored - 1) - pixels
    pixels = np.ascontiguousarray(pixels.astype(film.pixels.dtype, copy=False))
    return replace(film, pixels=pixels)
