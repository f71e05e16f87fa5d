"""Batches of augmented films, the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from train.augment import augment
from train.dataset import Dataset
from train.draws import draw_all, draw_balanced
from train.recipe import Augmentation, Pretraining, Recipe
from train.teacher import Teacher


def class_weights(labels: NDArray[np.int64]) -> tuple[float, float]:
    """The paper's weights of a normal and of a pneumonia film in the loss.

    Returns:
        (pneumonia / total, normal / total), each in (0, 1).
    """
    pneumonia = float(labels.mean())
    return pneumonia, 1 - pneumonia


class _Epochs(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no type stubs
    """Augmented films, epoch after epoch.

    What a batch holds depends on the seed, the epoch and its place in it alone, so that a resumed run
    sees what an unbroken one would have seen.
    """

    def __init__(
        self,
        tensors: NDArray[np.uint8],
        seed: int,
        size: int,
        augmentation: Augmentation,
        draw: Callable[[np.random.Generator], NDArray[np.int64]],
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._draw = draw
        self._tensors = tensors
        self._seed = seed
        self._size = size
        self._augmentation = augmentation
        self.begin_epoch(1)

    def begin_epoch(self, epoch: int) -> None:
        """Draw an epoch's films.

        Keras' own `on_epoch_end` will not do: it is also called once before the first epoch, but only
        if the model has not been built yet, so a resumed run would repeat films.

        Args:
            epoch: From 1.
        """
        self._epoch = epoch
        self._order = self._draw(np.random.default_rng((self._seed, epoch)))

    def __len__(self) -> int:
        # A last, smaller batch would make BatchNorm's statistics jump.
        return max(1, len(self._order) // self._size)

    def _batch(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Which films the batch holds, and their variants, (n, 150, 150, 1)."""
        rows = self._order[index * self._size : (index + 1) * self._size]
        rng = np.random.default_rng((self._seed, self._epoch, index))
        return rows, np.stack([augment(self._tensors[i], self._augmentation, rng) for i in rows])


class Batches(_Epochs):
    """The training batches of labelled films."""

    def __init__(self, dataset: Dataset, recipe: Recipe, teacher: Teacher | None = None) -> None:
        """Keep what an epoch draws from.

        Args:
            dataset: The films to train on.
            recipe: Gives seed, sizes, sampling, class weights, augmentation and the teacher's share.
            teacher: Its opinion of each view is mixed into the label; None leaves the label alone.
        """
        self._dataset = dataset
        self._teacher = teacher
        self._recipe = recipe
        self._weights = class_weights(dataset.labels)
        size, changes = recipe.batch_size, recipe.augmentation
        super().__init__(dataset.tensors, recipe.seed, size, changes, self._films)

    def _films(self, rng: np.random.Generator) -> NDArray[np.int64]:
        if self._recipe.sampling == "all":
            return draw_all(self._dataset, self._recipe.images_per_epoch, rng)
        return draw_balanced(self._dataset, self._recipe.images_per_epoch, rng)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows, images = self._batch(index)
        labels = self._dataset.labels[rows].astype(np.float32)
        weights = np.where(labels > 0.5, self._weights[1], self._weights[0]).astype(np.float32)
        if self._teacher is not None and self._recipe.teacher is not None:
            share = np.float32(self._recipe.teacher.share)
            labels = (1 - share) * labels + share * self._teacher(images)
        if self._recipe.class_weights == "none":
            return images, labels
        return images, labels, weights


class Views(_Epochs):
    """Batches of films without labels, drawn evenly from their folders."""

    def __init__(
        self,
        tensors: NDArray[np.uint8],
        folders: NDArray[np.int64],
        recipe: Recipe,
        pretraining: Pretraining,
    ) -> None:
        """Keep what an epoch draws from.

        Args:
            tensors: (n, 150, 150, 1), prepared films.
            folders: (n,) number of the folder that each came from.
            recipe: Gives seed and augmentation.
            pretraining: Gives the sizes of batch and epoch.
        """
        self._groups = [np.flatnonzero(folders == k) for k in np.unique(folders)]
        self._count = pretraining.images_per_epoch
        size, changes = pretraining.batch_size, recipe.augmentation
        super().__init__(tensors, recipe.seed, size, changes, self._films)

    def _films(self, rng: np.random.Generator) -> NDArray[np.int64]:
        share = -(-self._count // len(self._groups))
        return rng.permutation(np.concatenate([_cycle(rows, share, rng) for rows in self._groups]))

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, images = self._batch(index)
        # Keras wants a target; the teacher, who makes it, is part of the model.
        return images, np.zeros((len(rows), 1), np.float32)


def _cycle(rows: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` of the rows in random order; one comes again only after all others have come."""
    rounds = [rng.permutation(rows) for _ in range(-(-count // len(rows)))]
    return np.concatenate(rounds)[:count]
