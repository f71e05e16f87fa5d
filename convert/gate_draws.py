"""Films as they may come to the gate: turned, inverted, mirrored, cropped; drawn from upright ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from convert.perceptron import Draw
from pneumo_edge.gate.perceptron import THUMBNAIL
from pneumo_edge.gate.pose import POSES, Pose
from pneumo_edge.types import SIDE

ANGLE = 8.0
"""Degrees by which a film may lie askew and still be upright."""
ZOOM = (0.9, 1.2)
SHIFT = 9.0
"""Pixels of 150."""
GAMMA = 0.4
"""Largest logarithm of the exponent by which an exposure may differ."""
KEPT = (0.4, 0.65)
"""Share of its height or of its width that a badly cropped film shows."""
CUT = 0.25
"""Share of the films of a round that are badly cropped before they are laid."""
POSES_A_FILM = 3
"""Poses drawn for each film and round."""


def varied(films: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """(n, 24, 24) of (n, 150, 150, 1): as another operator might have taken them, upright and whole."""
    return np.stack([_varied(film[:, :, 0], rng) for film in films])


def _varied(film: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    middle = (SIDE / 2, SIDE / 2)
    matrix = cv2.getRotationMatrix2D(middle, rng.uniform(-ANGLE, ANGLE), rng.uniform(*ZOOM))
    matrix[:, 2] = matrix[:, 2] + rng.uniform(-SHIFT, SHIFT, 2)
    border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_CONSTANT
    return _exposed(cv2.warpAffine(film, matrix, (SIDE, SIDE), borderMode=border), rng)


def _exposed(film: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
    small = cv2.resize(film, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    exponent = np.exp(rng.uniform(-GAMMA, GAMMA))
    return np.asarray(255 * (small / np.float32(255)) ** exponent, np.float32)


def pose_draws(films: NDArray[np.uint8], rounds: int, seed: int) -> Iterator[Draw]:
    """Every film in some poses each round, with their numbers."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        small = varied(films, rng)
        # Half a chest is no turned one: what is cut off must not tell how a film lies.
        for row in np.flatnonzero(rng.random(len(films)) < CUT):
            small[row] = _exposed(cropped(films[row], rng)[:, :, 0], rng)
        small = np.repeat(small, POSES_A_FILM, 0)
        numbers = rng.integers(0, POSES, len(small))
        laid = [
            Pose.of(int(number)).apply(film) for film, number in zip(small, numbers, strict=True)
        ]
        yield np.stack(laid), numbers


def crop_draws(films: NDArray[np.uint8], rounds: int, seed: int) -> Iterator[Draw]:
    """Every film whole (0) and badly cropped (1) each round."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        whole = varied(films, rng)
        cut = np.stack([_exposed(cropped(film, rng)[:, :, 0], rng) for film in films])
        yield np.concatenate([whole, cut]), np.repeat(np.array([0, 1]), len(films))


def cropped(film: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(rows, cols, 1) of (150, 150, 1): 40 to 65 % of its height, its width or both, from one end or the middle."""
    shares = rng.uniform(*KEPT, 2)
    axis = rng.integers(0, 3)
    if axis < 2:
        shares[axis] = 1.0
    box = []
    for share in shares:
        length = round(SIDE * share)
        start = int(rng.choice([0, (SIDE - length) // 2, SIDE - length]))
        box.append(slice(start, start + length))
    return film[box[0], box[1]]
