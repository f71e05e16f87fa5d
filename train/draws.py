"""Which films come next: all of them, or as many of each class, patients in turn."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from train.dataset import Dataset


def draw_all(dataset: Dataset, count: int | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Every film once, shuffled; the first `count` of them, where it is given."""
    return rng.permutation(len(dataset))[:count]


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
