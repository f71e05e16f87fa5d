"""Cut films into folds by patient: at random, by blocks of patient number, or by how the films were taken."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from pneumo_edge.errors import DatasetError
from train.dataset import LABELS, Dataset, Film
from train.look import describe
from train.recipe import Validation

Folds = tuple[tuple[int, ...], ...]
"""For each fold the indices that it holds out; together every film once, and no patient twice."""

OUTLIER = 3.0
"""Deviations beyond which a figure counts as this many: a handful of odd films are no cluster."""

LOOK_COMPONENTS = 8
"""Principal components of the looks that films are clustered by."""


def cut(dataset: Dataset, method: Validation, count: int, seed: int) -> Folds:
    """Cut a data set by the method that a recipe names.

    Args:
        dataset: At least `count` patients of each class.
        method: patient, number or look.
        count: 2 or more.
        seed: The same seed and films give the same folds.

    Raises:
        DatasetError: a class has fewer patients than there are folds, or is missing from a fold.
    """
    if method == "patient":
        return patient_folds(dataset.films, count, seed)
    if method == "number":
        return number_folds(dataset.films, count)
    return look_folds(dataset, count, seed)


def patient_folds(films: Sequence[Film], count: int, seed: int) -> Folds:
    """Draw patients at random, with the classes in proportion; see `cut`."""
    _refuse_too_few_patients(films, count)
    splitter = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    labels = [film.label for film in films]
    groups = [film.patient for film in films]
    parts = [test for _, test in splitter.split(np.zeros(len(films)), labels, groups)]
    return _with_both_classes(films, parts)


def number_folds(films: Sequence[Film], count: int) -> Folds:
    """Hold out blocks of neighbouring patient numbers, which were taken at about the same time; see `cut`."""
    _refuse_too_few_patients(films, count)
    where = np.zeros(len(films), dtype=np.int64)
    for label in range(len(LABELS)):
        rows = [i for i, film in enumerate(films) if film.label == label]
        rows.sort(key=lambda i: _natural(films[i].patient))
        for place, i in enumerate(rows):
            where[i] = place * count // len(rows)
    return _by_fold(films, where, count)


def look_folds(dataset: Dataset, count: int, seed: int) -> Folds:
    """Hold out the films that look alike: of each class a cluster of the looks that `train.look` describes.

    Normal and pneumonia clusters that are alike are held out together, as another device would show both.
    """
    _refuse_too_few_patients(dataset.films, count)
    looks = np.clip(StandardScaler().fit_transform(describe(dataset.tensors)), -OUTLIER, OUTLIER)
    components = min(LOOK_COMPONENTS, *looks.shape)
    looks = PCA(components, random_state=seed).fit_transform(looks)
    where = np.zeros(len(dataset), dtype=np.int64)
    centres = []
    for label in range(len(LABELS)):
        rows = np.flatnonzero(dataset.labels == label)
        clusters = KMeans(count, n_init=5, random_state=seed).fit(looks[rows])
        where[rows] = clusters.labels_
        centres.append(clusters.cluster_centers_)
    distances = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2)
    normal, pneumonia = linear_sum_assignment(distances)
    partner = np.zeros(count, dtype=np.int64)
    partner[pneumonia] = normal
    ill = dataset.labels == 1
    where[ill] = partner[where[ill]]
    return _by_fold(dataset.films, where, count)


def _natural(patient: str) -> list[tuple[int, str]]:
    """A key that sorts 9-virus before 10-virus."""
    parts = re.split(r"(\d+)", patient)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _by_fold(films: Sequence[Film], where: NDArray[np.int64], count: int) -> Folds:
    """Folds from each film's fold; a patient goes where most of their films are."""
    votes: dict[str, list[int]] = defaultdict(list)
    for film, fold in zip(films, where.tolist(), strict=True):
        votes[film.patient].append(fold)
    home = {
        patient: min(Counter(folds).items(), key=lambda vote: (-vote[1], vote[0]))[0]
        for patient, folds in votes.items()
    }
    of_film = np.array([home[film.patient] for film in films])
    return _with_both_classes(films, [np.flatnonzero(of_film == fold) for fold in range(count)])


def _refuse_too_few_patients(films: Sequence[Film], count: int) -> None:
    patients: dict[int, set[str]] = defaultdict(set)
    for film in films:
        patients[film.label].add(film.patient)
    for label, name in enumerate(LABELS):
        if len(patients[label]) < count:
            raise DatasetError(
                f"{len(patients[label])} {name} patients cannot fill {count} folds",
                "ask for fewer folds, or add films",
            )


def _with_both_classes(films: Sequence[Film], parts: Sequence[NDArray[np.int64]]) -> Folds:
    """The parts as folds, if each has films of both classes."""
    for number, part in enumerate(parts):
        for label, name in enumerate(LABELS):
            if label not in {films[i].label for i in part}:
                patients = len({film.patient for film in films if film.label == label})
                raise DatasetError(
                    f"fold {number} of {len(part)} films has no {name} one, as {patients} {name} "
                    f"patients are spread over {len(parts)} folds",
                    "ask for fewer folds, or add films",
                )
    return tuple(tuple(int(i) for i in part) for part in parts)
