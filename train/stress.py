"""Held-out films under stress: as another device, another exposure or another frame would have shown them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from train.augment import augment
from train.dataset import Dataset
from train.recipe import Augmentation

STRESS = Augmentation(
    rotation_degrees=15,
    shift=0.1,
    shear=0.08,
    zoom=0.2,
    horizontal_flip=True,
    brightness=0.1,
    contrast=0.4,
    gamma=0.4,
    sharpness=1.0,
)
"""One for all recipes, so that what one member bears can be compared with what another does."""


UNEVEN = 0.3
"""Part by which the light of a foreign film may be off, from place to place."""

CLIP = (1.0, 3.0)
"""Of CLAHE, for every second foreign film."""

COARSE = 70
"""Pixels of the side that a foreign film may have been seen with, at least."""

FRAME = 20
"""Pixels that may be cut off each of its edges; the rest fills the square again, as `prepare` would have it."""

NOISE = 4.0
"""Its deviation, in grey levels."""


def foreign_film(film: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """A film as a device shows it that no recipe's augmentation imitates.

    Uneven light, local contrast, coarse pixels, other collimation and noise, in this order.

    Args:
        film: (side, side); not modified.
        rng: Drawn from.

    Returns:
        (side, side), which noise may have taken out of [0, 255].
    """
    side = film.shape[0]
    field = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
    light = cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC)
    image = np.clip(film * (1 + UNEVEN * light), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        image = np.asarray(cv2.createCLAHE(rng.uniform(*CLIP), (4, 4)).apply(image), np.uint8)
    pixels = int(rng.integers(COARSE, side + 1))
    small = cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA)
    image = np.asarray(cv2.resize(small, (side, side)), np.uint8)
    top, bottom, left, right = rng.integers(0, FRAME + 1, 4)
    image = np.asarray(cv2.resize(image[top : side - bottom, left : side - right], (side, side)))
    return np.asarray(image + rng.normal(0, NOISE, image.shape), np.float32)


def foreign(dataset: Dataset, seed: int) -> Dataset:
    """The same films as another device shows them, in ways that members were not trained on.

    Args:
        dataset: Not modified.
        seed: The same seed changes the same film in the same way.
    """
    return _changed(dataset, seed, 3, lambda t, rng: foreign_film(t[..., 0], rng)[..., np.newaxis])


def stressed(dataset: Dataset, seed: int) -> Dataset:
    """The same films, each changed at random.

    Films of the training's own source are told apart almost without a fault by any model, and the better
    the model knows that source, the better. How it does on films from elsewhere shows where films are changed.
    `pneumo-edge bench selection` measures how well this ranks models for a shifted test split: docs/ablations.md.

    Args:
        dataset: Not modified.
        seed: The same seed changes the same film in the same way.
    """
    return _changed(dataset, seed, 2, lambda tensor, rng: augment(tensor, STRESS, rng))


def _changed(
    dataset: Dataset,
    seed: int,
    stream: int,
    change: Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.float32]],
) -> Dataset:
    rng = np.random.default_rng((seed, stream))
    views = [change(tensor, rng) for tensor in dataset.tensors]
    rounded = np.rint(np.stack(views)).clip(0, 255) if views else dataset.tensors
    return Dataset(dataset.films, rounded.astype(np.uint8), dataset.skipped)
