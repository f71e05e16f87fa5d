"""Linear models that are fitted in a second, on thumbnails and on frozen features, to rank validations with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of the ridge, as parts of the mean variance of the standardised features."""

PREPARATIONS = ("grey levels", "standardised", "equalised", "centre")
"""Of a thumbnail."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """The films, as they are and changed; each (n, 150, 150, 1) uint8."""

    clean: NDArray[np.uint8]
    augmented: NDArray[np.uint8]
    """As training changes them."""
    stressed: NDArray[np.uint8]
    """As validation under stress does."""
    foreign: NDArray[np.uint8]
    """As validation under other stress does, which is nothing like what training does."""
    test: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A set of features and what a model is fitted on."""

    name: str
    family: str
    train: tuple[Floats, ...]
    """Each (n, features): the films as they are, or changed, or both."""
    clean: Floats
    stressed: Floats
    foreign: Floats
    test: Floats


Features = Callable[[NDArray[np.uint8]], Floats]


def thumbnails(how: str, side: int) -> Features:
    """Grey levels of a small film.

    Args:
        how: One of `PREPARATIONS`.
        side: Rows and columns.
    """
    equalise = cv2.createCLAHE(2.0, (4, 4))

    def one(tensor: NDArray[np.uint8]) -> Floats:
        film = tensor[..., 0]
        if how == "equalised":
            film = np.asarray(equalise.apply(film), dtype=np.uint8)
        if how == "centre":
            edge = film.shape[0] // 8
            film = film[edge:-edge, edge:-edge]
        small = cv2.resize(film, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        if how == "standardised":
            small = (small - small.mean()) / max(float(small.std()), 1.0)
        return np.asarray(small.ravel(), dtype=np.float32)

    return lambda tensors: np.stack([one(tensor) for tensor in tensors])


def frozen(layer: str, init: str) -> Features:
    """The mean of each channel of a layer of ResNet50, by ImageNet weights."""
    from train.teacher import pooled_features

    features = pooled_features(layer, init)

    def batches(tensors: NDArray[np.uint8]) -> Floats:
        parts = [
            features(tensors[start : start + 64].astype(np.float32))
            for start in range(0, len(tensors), 64)
        ]
        return np.concatenate(parts)

    return batches


def candidates(name: str, family: str, features: Features, views: Views) -> list[Candidate]:
    """One set of features, fitted on films as they are, on changed ones, and on both."""
    clean, changed = features(views.clean), features(views.augmented)
    rest = (clean, features(views.stressed), features(views.foreign), features(views.test))
    return [
        Candidate(f"{name}, {how}", family, train, *rest)
        for how, train in (
            ("as they are", (clean,)),
            ("changed", (changed,)),
            ("both", (clean, changed)),
        )
    ]


def ridge(
    views: Sequence[Floats], rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> Callable[[Floats], NDArray[np.float64]]:
    """Least squares on labels of -1 and 1, the classes weighted alike, at every one of `STRENGTHS`.

    Args:
        views: Features of every film, (n, features) each.
        rows: Films to fit on.
        labels: (n,) of 0 and 1.

    Returns:
        Features (m, features) to scores (strengths, m).
    """
    data = np.concatenate([view[rows] for view in views])
    ill = np.tile(labels[rows], len(views)) == 1
    mean, deviation = data.mean(axis=0), data.std(axis=0) + 1e-6
    weights = np.where(ill, 0.5 / ill.mean(), 0.5 / (1 - ill.mean())).astype(np.float32)
    data = (data - mean) / deviation
    weighted = data * weights[:, None]
    gram = (weighted.T @ data).astype(np.float64) / len(data)
    cross = weighted.T @ np.where(ill, 1, -1).astype(np.float32) / len(data)
    values, vectors = np.linalg.eigh(gram)
    turned = vectors.T @ cross
    fitted = [vectors @ (turned / (np.maximum(values, 0) + strength)) for strength in STRENGTHS]
    return lambda features: np.stack([((features - mean) / deviation) @ w for w in fitted])
