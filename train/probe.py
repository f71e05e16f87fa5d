"""A head that starts as a linear probe of its base, so that training begins where a probe ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError
from train.augment import augment
from train.dataset import Dataset
from train.draws import draw_balanced
from train.members import base_of
from train.recipe import Recipe
from train.teacher import linear_probe

PENALTY = 0.01
"""C of the logistic regression, on standardised features."""

BATCH = 32


def set_head(model: Any, weights: NDArray[np.float64], bias: float, places: int) -> None:
    """Make a VGG's head give w . (mean of the features over the map) + b, exactly.

    Half of the hidden units hold max(z, 0) and half max(-z, 0), whose difference is z: many copies, so
    that dropout leaves their mean alone.

    Args:
        model: From `train.members.build_member`, a VGG; changed in place.
        weights: (channels,)
        bias: b.
        places: Positions of the feature map, 16 for 4 x 4.
    """
    hidden, output = model.get_layer("hidden"), model.get_layer("probability")
    units = hidden.units
    signs = np.where(np.arange(units) < units // 2, 1.0, -1.0)
    kernel = np.outer(np.tile(weights / places, places), signs)
    hidden.set_weights([kernel.astype(np.float32), (bias * signs).astype(np.float32)])
    shares = signs[:, np.newaxis] / (units // 2)
    output.set_weights([shares.astype(np.float32), np.zeros(1, np.float32)])


def start_as_probe(model: Any, name: str, dataset: Dataset, recipe: Recipe, count: int) -> None:
    """Fit a linear probe on augmented views, and let the head start as it.

    Args:
        model: A VGG member with its base filled; its head is changed in place.
        name: The member.
        dataset: Films to train on.
        recipe: Gives seed and augmentation.
        count: Views, half of each class; patients drawn evenly.

    Raises:
        RecipeError: the member has no flattened head.

    Source: A. Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", 2022: the head first, then the depth.
    """
    if not name.startswith("vgg"):
        raise RecipeError(f"{name} cannot start as a probe", "leave `probe` to the VGGs")
    rng = np.random.default_rng((recipe.seed, 1))
    order = draw_balanced(dataset, count, rng)
    base, grey, means = base_of(model, name), model.get_layer("grey"), []
    for at in range(0, len(order), BATCH):
        rows = order[at : at + BATCH]
        views = np.stack([augment(dataset.tensors[i], recipe.augmentation, rng) for i in rows])
        means.append(base.predict_on_batch(np.asarray(grey(views))).mean(axis=(1, 2)))
    features = np.concatenate(means).astype(np.float64)
    weights, bias = linear_probe(features, dataset.labels[order], PENALTY)
    places = model.get_layer("hidden").kernel.shape[0] // len(weights)
    set_head(model, weights, bias, places)
