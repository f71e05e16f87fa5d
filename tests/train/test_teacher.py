from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pneumo_edge.errors import RecipeError
from train.batches import Batches
from train.dataset import Dataset
from train.recipe import Recipe, TeacherRecipe
from train.teacher import Teacher, fit_teacher, load_teacher, pooled_features, save_teacher


@pytest.fixture(scope="module")
def taught(tiny: Recipe) -> Recipe:
    """A shallow layer, so that the films of the tests go through quickly."""
    spec = TeacherRecipe(layer="conv2_block1_out", views=1, penalty=0.1, share=0.25)
    return msgspec.structs.replace(tiny, teacher=spec)


@pytest.fixture(scope="module")
def woven(dataset: Dataset) -> Dataset:
    """Films whose classes differ in texture, which a mean over the film can tell, and a flip leaves."""
    tensors = dataset.tensors.copy()
    tensors[dataset.labels == 1, ::4] = 255
    return dataclasses.replace(dataset, tensors=tensors)


@pytest.fixture(scope="module")
def teacher(woven: Dataset, taught: Recipe, shared_init: Path) -> Teacher:
    return fit_teacher(woven, taught, str(shared_init))


def test_tells_the_classes_apart_on_films_and_on_views(
    teacher: Teacher, woven: Dataset, taught: Recipe
) -> None:
    views, labels = Batches(woven, taught)[0]
    for images, truth in ((woven.tensors.astype(np.float32), woven.labels), (views, labels)):
        opinion = teacher(images)
        assert opinion.shape == (len(images),)
        assert opinion[truth == 1].min() > opinion[truth == 0].max()


def test_a_target_is_the_label_and_the_teachers_share(
    teacher: Teacher, dataset: Dataset, taught: Recipe
) -> None:
    images, targets = Batches(dataset, taught, teacher)[0]
    plain_images, labels = Batches(dataset, taught)[0]
    np.testing.assert_array_equal(images, plain_images)
    np.testing.assert_allclose(targets, 0.75 * labels + 0.25 * teacher(images), atol=1e-6)


def test_what_was_kept_gives_the_same_opinion(
    teacher: Teacher, dataset: Dataset, taught: Recipe, shared_init: Path, tmp_path: Path
) -> None:
    save_teacher(teacher, taught, tmp_path / "teacher.npz")
    again = load_teacher(tmp_path / "teacher.npz", taught, str(shared_init))
    images = dataset.tensors[:4].astype(np.float32)
    np.testing.assert_allclose(again(images), teacher(images), atol=1e-6)


def test_a_probe_of_another_layer_is_refused(
    teacher: Teacher, taught: Recipe, shared_init: Path, tmp_path: Path
) -> None:
    save_teacher(teacher, taught, tmp_path / "teacher.npz")
    assert taught.teacher is not None
    other = msgspec.structs.replace(
        taught, teacher=msgspec.structs.replace(taught.teacher, layer="conv3_block4_out")
    )
    with pytest.raises(RecipeError, match="probe of conv2_block1_out"):
        load_teacher(tmp_path / "teacher.npz", other, str(shared_init))


def test_a_torn_probe_is_refused(taught: Recipe, tmp_path: Path) -> None:
    (tmp_path / "teacher.npz").write_bytes(b"PK\x03\x04torn")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_teacher(tmp_path / "teacher.npz", taught, "imagenet")


def test_a_layer_that_there_is_not_is_refused(shared_init: Path) -> None:
    with pytest.raises(RecipeError, match="no layer 'conv9'"):
        pooled_features("conv9", str(shared_init))


def test_random_features_are_refused() -> None:
    with pytest.raises(RecipeError, match="random features"):
        pooled_features("conv3_block4_out", "none")


def test_a_recipe_without_a_teacher_is_refused(dataset: Dataset, tiny: Recipe) -> None:
    with pytest.raises(RecipeError, match="has no teacher"):
        fit_teacher(dataset, msgspec.structs.replace(tiny, teacher=None), "imagenet")
