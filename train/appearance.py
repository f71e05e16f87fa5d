"""How the films of one class vary: a principal-component model that new films can be drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from pneumo_edge.decode import decode_file
from pneumo_edge.errors import DatasetError

SIDE = 224
"""Rows and columns at which films are modelled, in pixels: the size of the Kermany set's own copies."""

GRAIN_SIGMA = 2.0
"""Standard deviation of the film grain that is added, in grey levels of 255: the model is smoother than film."""


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """The mean film of a class, and its commonest departures from it."""

    mean: NDArray[np.float32]
    """(224 * 224,) grey levels, 0 to 255."""

    components: NDArray[np.float32]
    """(k, 224 * 224) orthonormal rows, largest variance first."""

    deviation: NDArray[np.float32]
    """(k,) standard deviation of each component's score over the class, in grey levels."""

    explained: float
    """Fraction of the class's variance within the components, 0 to 1."""


def read_grey(paths: Sequence[Path]) -> NDArray[np.float32]:
    """Read films at the size of the model.

    Returns:
        (n, 224 * 224), 0 black to 255 white.

    Raises:
        BadRadiographError: a film cannot be read.
    """
    rows = np.empty((len(paths), SIDE * SIDE), np.float32)
    for row, path in zip(rows, paths, strict=True):
        film = decode_file(path)
        small = cv2.resize(film.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        row[:] = small.astype(np.float32).ravel() * (255.0 / (2**film.bits_stored - 1))
    return rows


def fit(films: NDArray[np.float32], components: int, seed: int) -> Appearance:
    """Fit the model by randomised singular value decomposition.

    Args:
        films: (n, 224 * 224), 0 to 255, of one class.
        components: How many to keep, 1 to n - 1.
        seed: Of the random projection; the same seed and films give the same model.

    Raises:
        DatasetError: fewer films than the components need.

    Source: Halko, Martinsson, Tropp, "Finding structure with randomness", 2011.
    """
    if not 1 <= components < len(films):
        raise DatasetError(
            f"{components} components from {len(films)} films",
            f"ask for 1 to {len(films) - 1} components, or give more films",
        )
    pca = PCA(components, svd_solver="randomized", iterated_power=2, random_state=seed).fit(films)
    return Appearance(
        mean=pca.mean_.astype(np.float32),
        components=pca.components_.astype(np.float32),
        deviation=np.sqrt(pca.explained_variance_).astype(np.float32),
        explained=float(pca.explained_variance_ratio_.sum()),
    )


def draw(model: Appearance, shrink: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a film that is nobody's: the mean, plus every component by a random amount.

    Args:
        model: Not modified.
        shrink: Standard deviations of the scores are multiplied by it; 0 gives the mean film, 1 a
            film as unusual as the class's are, which a linear model shows as ghosting.
        rng: Advanced by one normal deviate per component.

    Returns:
        (224, 224), about 0 to 255; not clipped.
    """
    deviates = rng.normal(size=len(model.deviation)).astype(np.float32)
    scores = deviates * model.deviation * np.float32(shrink)
    film = np.asarray(model.mean + scores @ model.components, dtype=np.float32)
    return film.reshape(SIDE, SIDE)


def develop(film: NDArray[np.float32], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Enlarge a drawn film bicubically, add grain, round to 8 bits.

    Args:
        film: (rows, cols), about 0 to 255; clipped to that range after enlarging.
        side: Rows and columns of the result, in pixels.
        rng: Source of the grain.
    """
    large = cv2.resize(film, (side, side), interpolation=cv2.INTER_CUBIC)
    white = rng.normal(size=(side, side)).astype(np.float32)
    grain = cv2.GaussianBlur(white, (0, 0), 0.7)
    grain *= np.float32(GRAIN_SIGMA) / grain.std()
    return np.asarray(np.rint(np.clip(large + grain, 0, 255)), dtype=np.uint8)
