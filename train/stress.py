"""Held-out films under stress: as another device, another exposure or another frame would have shown them."""

from __future__ import annotations

import numpy as np

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


def stressed(dataset: Dataset, seed: int) -> Dataset:
    """The same films, each changed at random.

    Films of the training's own source are told apart almost without a fault by any model, and the better
    the model knows that source, the better. How it does on films from elsewhere shows where films are changed.
    `pneumo-edge bench selection` measures how well this ranks models for a shifted test split.

    Args:
        dataset: Not modified.
        seed: The same seed changes the same film in the same way.
    """
    rng = np.random.default_rng((seed, 2))
    views = [augment(tensor, STRESS, rng) for tensor in dataset.tensors]
    tensors = np.rint(np.stack(views)).astype(np.uint8) if views else dataset.tensors
    return Dataset(dataset.films, tensors, dataset.skipped)
