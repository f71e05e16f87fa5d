from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

from pneumo_edge.errors import RecipeError
from train.dataset import Dataset
from train.members import base_of
from train.probe import set_head, start_as_probe
from train.recipe import Recipe


def logits(model: Any, images: Any) -> Any:
    p = model.predict(images, verbose=0)[:, 0].astype(np.float64)
    return np.log(p / (1 - p))


def test_the_head_gives_the_probes_logit_exactly(big: Callable[[str], Any]) -> None:
    model = big("vgg16")
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (4, 150, 150, 1)).astype(np.float32)
    features = base_of(model, "vgg16").predict(
        np.asarray(model.get_layer("grey")(images)), verbose=0
    )
    means = features.mean(axis=(1, 2)).astype(np.float64)
    direction = rng.normal(size=means.shape[1])
    weights = direction / (means @ direction).std()
    bias = float(-(means @ weights).mean())

    set_head(model, weights, bias, places=16)

    expected = means @ weights + bias
    assert expected.min() < 0 < expected.max()
    np.testing.assert_allclose(logits(model, images), expected, rtol=1e-3, atol=1e-4)


def test_a_member_starts_by_telling_the_classes_apart(
    big: Callable[[str], Any], dataset: Dataset, tiny: Recipe
) -> None:
    """By brightness, which a mean over the map can tell even where the base is random."""
    keras.utils.set_random_seed(1)
    tensors = dataset.tensors // 4
    tensors[dataset.labels == 1] += 150
    calm = msgspec.structs.replace(tiny.augmentation, brightness=0, contrast=0, gamma=0)
    model = big("vgg16")

    start_as_probe(
        model,
        "vgg16",
        dataclasses.replace(dataset, tensors=tensors),
        msgspec.structs.replace(tiny, augmentation=calm),
        count=24,
    )

    got = logits(model, tensors.astype(np.float32))
    assert got[dataset.labels == 1].min() > got[dataset.labels == 0].max()


def test_a_pooled_head_is_refused(dataset: Dataset, tiny: Recipe) -> None:
    with pytest.raises(RecipeError, match="resnet50 cannot start as a probe"):
        start_as_probe(None, "resnet50", dataset, tiny, 8)
