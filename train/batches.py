"""Batches of augmented films, the same for the same seed and epoch."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from train.augment import augment
from train.dataset import Dataset
from train.recipe import Recipe


def class_weights(labels: NDArray[np.int64]) -> tuple[float, float]:
    """The paper's weights of a normal and of a pneumonia film in the loss.

    Returns:
        (pneumonia / total, normal / total), each in (0, 1).
    """
    pneumonia = float(labels.mean())
    return pneumonia, 1 - pneumonia


def draw_all(dataset: Dataset, rng: np.random.Generator) -> NDArray[np.int64]:
    """Every film once, shuffled."""
    return rng.permutation(len(dataset))


def draw_balanced(
    dataset: Dataset, count: int | None, rng: np.random.Generator
) -> NDArray[np.int64]:
    """As many normal as pneumonia films; within a class every patient as likely as another.

    Args:
        dataset: Has both classes.
        count: Films in all, rounded down to even; None is twice the smaller class.
        rng: Drawn from.

    Returns:
        Shuffled indices. A patient comes again only after all others of the class have come.
    """
    labels = dataset.labels
    per_class = count // 2 if count is not None else int(np.bincount(labels, minlength=2).min())
    drawn: list[int] = []
    for label in (0, 1):
        films: dict[str, list[int]] = defaultdict(list)
        for index in np.flatnonzero(labels == label):
            films[dataset.films[index].patient].append(int(index))
        patients = list(films)
        chosen: list[int] = []
        while len(chosen) < per_class:
            order = rng.permutation(len(patients))[: per_class - len(chosen)]
            chosen += [int(rng.choice(films[patients[i]])) for i in order]
        drawn += chosen
    return rng.permutation(np.array(drawn, dtype=np.int64))


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no type stubs
    """The training batches of one epoch after another.

    What a batch holds depends on the recipe's seed, the epoch and its place in it alone, so that a
    resumed run sees what an unbroken one would have seen.
    """

    def __init__(self, dataset: Dataset, recipe: Recipe) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._dataset = dataset
        self._recipe = recipe
        self._weights = class_weights(dataset.labels)
        self.begin_epoch(1)

    def begin_epoch(self, epoch: int) -> None:
        """Draw an epoch's films.

        Keras' own `on_epoch_end` will not do: it is also called once before the first epoch, but only
        if the model has not been built yet, so a resumed run would repeat films.

        Args:
            epoch: From 1.
        """
        self._epoch = epoch
        rng = np.random.default_rng((self._recipe.seed, epoch))
        if self._recipe.sampling == "all":
            self._order = draw_all(self._dataset, rng)
        else:
            self._order = draw_balanced(self._dataset, self._recipe.images_per_epoch, rng)

    def __len__(self) -> int:
        # A last, smaller batch would make BatchNorm's statistics jump.
        return max(1, len(self._order) // self._recipe.batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        size = self._recipe.batch_size
        rows = self._order[index * size : (index + 1) * size]
        rng = np.random.default_rng((self._recipe.seed, self._epoch, index))
        images = np.stack(
            [augment(self._dataset.tensors[i], self._recipe.augmentation, rng) for i in rows]
        )
        labels = self._dataset.labels[rows].astype(np.float32)
        if self._recipe.class_weights == "none":
            return images, labels
        weights = np.where(labels > 0.5, self._weights[1], self._weights[0]).astype(np.float32)
        return images, labels, weights
