"""A linear probe on frozen ImageNet features, whose opinion of every augmented film members learn from."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumo_edge.errors import RecipeError
from pneumo_edge.types import SIDE
from train.augment import augment
from train.dataset import Dataset
from train.members import base_of, build_member
from train.recipe import Recipe, TeacherRecipe
from train.weights import fill

SOURCE = "resnet50"
"""The base that has ImageNet weights to its end; with strides as in v1.5, where they were trained."""

BATCH = 64

Features = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Teacher:
    """logit = w . pooled features + b."""

    features: Features
    """(n, 150, 150, 1) grey levels in [0, 255] to (n, channels)."""
    weights: NDArray[np.float64]
    """(channels,)"""
    bias: float

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of pneumonia, (n,), of films (n, 150, 150, 1) in [0, 255]."""
        logits = self.features(images) @ self.weights + self.bias
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float32)


def pooled_features(layer: str, init: str) -> Features:
    """The mean of one layer's channels over the film, by ImageNet weights that stay as they are.

    Args:
        layer: Of Keras' ResNet50, for instance conv3_block4_out.
        init: imagenet, or a file or folder of weights.

    Raises:
        RecipeError: there are no weights, or no such layer.
    """
    if init == "none":
        raise RecipeError(
            "a teacher cannot learn from random features", "pass --init imagenet, or a folder"
        )
    member = build_member(SOURCE, "imagenet" if init == "imagenet" else None, strides="v1.5")
    base = base_of(member, SOURCE)
    if init != "imagenet" and fill(base, SOURCE, init) is None:
        raise RecipeError(f"{init} has no weights of the teacher, {SOURCE}", "add them to --init")
    if layer not in {known.name for known in base.layers}:
        raise RecipeError(f"{SOURCE} has no layer {layer!r}", "name a layer as Keras does")
    pooled = keras.layers.GlobalAveragePooling2D()(base.get_layer(layer).output)
    inputs = keras.Input((SIDE, SIDE, 1))
    model = keras.Model(
        inputs, keras.Model(base.input, pooled)(member.get_layer("grey")(inputs), training=False)
    )
    return lambda images: np.asarray(model.predict_on_batch(images))


def linear_probe(
    features: NDArray[np.float64], labels: NDArray[np.int64], penalty: float
) -> tuple[NDArray[np.float64], float]:
    """A logistic regression on standardised features, told in the features' own size.

    Args:
        features: (n, channels).
        labels: (n,) of 0 and 1.
        penalty: C; smaller is stronger.

    Returns:
        (w, b) of logit = w . features + b.
    """
    scaler = StandardScaler()
    regression = LogisticRegression(C=penalty, max_iter=500, class_weight="balanced")
    make_pipeline(scaler, regression).fit(features, labels)
    weights = regression.coef_[0] / scaler.scale_
    return weights, float(regression.intercept_[0] - weights @ scaler.mean_)


def _views(dataset: Dataset, recipe: Recipe, count: int, features: Features) -> NDArray[np.float64]:
    """Features of each film as it is, then of `count` augmented views: ((1 + count) films, channels)."""
    rng = np.random.default_rng((recipe.seed, 0))
    rows = []
    for view in range(count + 1):
        for at in range(0, len(dataset), BATCH):
            images = dataset.tensors[at : at + BATCH].astype(np.float32)
            if view:
                tensors = dataset.tensors[at : at + BATCH]
                images = np.stack([augment(t, recipe.augmentation, rng) for t in tensors])
            rows.append(features(images))
    return np.concatenate(rows).astype(np.float64)


def _spec(recipe: Recipe) -> TeacherRecipe:
    if recipe.teacher is None:
        raise RecipeError(f"recipe {recipe.name} has no teacher", "add one to the recipe")
    return recipe.teacher


def fit_teacher(dataset: Dataset, recipe: Recipe, init: str) -> Teacher:
    """Fit the probe on each film as it is and on augmented views of it.

    Args:
        dataset: The films that the members are trained on; none that is held out.
        recipe: Its teacher, augmentation and seed.
        init: Where the ImageNet weights are.

    Raises:
        RecipeError: the recipe has no teacher, or see `pooled_features`.

    Source: distillation as in G. Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, from a
    shallow teacher: a linear map of mid-level features, fitted on many views, holds up better on
    films that look otherwise than a depth that was fitted to a few thousand labels (docs/ablations.md).
    """
    spec = _spec(recipe)
    features = pooled_features(spec.layer, init)
    x = _views(dataset, recipe, spec.views, features)
    y = np.tile(dataset.labels, spec.views + 1)
    return Teacher(features, *linear_probe(x, y, spec.penalty))


def save_teacher(teacher: Teacher, recipe: Recipe, path: Path) -> None:
    """Keep the probe; its features come from the ImageNet weights."""
    np.savez(path, weights=teacher.weights, bias=teacher.bias, layer=_spec(recipe).layer)


def load_teacher(path: Path, recipe: Recipe, init: str) -> Teacher:
    """The probe that `save_teacher` kept.

    Raises:
        RecipeError: the file is damaged, or is of another layer than the recipe's.
    """
    spec = _spec(recipe)
    try:
        # Opened here: np.load leaves a file open that it cannot make sense of.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            layer, weights, bias = str(file["layer"]), file["weights"], float(file["bias"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as err:
        raise RecipeError(f"{path} cannot be read: {err}", "remove it to fit it anew") from None
    if layer != spec.layer:
        raise RecipeError(
            f"{path} is a probe of {layer}, and the recipe wants {spec.layer}",
            "name another run folder with --run, or remove that file",
        )
    return Teacher(pooled_features(spec.layer, init), weights, bias)
