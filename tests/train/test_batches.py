from __future__ import annotations

from collections import Counter, defaultdict

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.augment import augment
from train.batches import Batches, Views, class_weights
from train.dataset import Dataset, Film
from train.draws import draw_balanced
from train.recipe import Augmentation, Pretraining, Recipe


def uneven(normal: list[int], pneumonia: list[int]) -> Dataset:
    """Patients with so many films each; the tensors are not looked at."""
    films = [
        Film(path=None, label=label, patient=f"{label}-{patient}", name=f"{patient}-{n}")  # type: ignore[arg-type]
        for label, counts in enumerate((normal, pneumonia))
        for patient, count in enumerate(counts)
        for n in range(count)
    ]
    return Dataset(tuple(films), np.zeros((len(films), 1, 1, 1), np.uint8))


@given(
    normal=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    pneumonia=st.lists(st.integers(1, 6), min_size=1, max_size=8),
    count=st.one_of(st.none(), st.integers(2, 60)),
    seed=st.integers(0, 99),
)
def test_a_balanced_draw_has_equal_classes_and_takes_patients_in_turn(
    normal: list[int], pneumonia: list[int], count: int | None, seed: int
) -> None:
    dataset = uneven(normal, pneumonia)
    drawn = draw_balanced(dataset, count, np.random.default_rng(seed))
    per_class = count // 2 if count is not None else min(sum(normal), sum(pneumonia))
    labels = dataset.labels[drawn]
    assert (labels == 0).sum() == (labels == 1).sum() == per_class
    for label, counts in enumerate((normal, pneumonia)):
        times = Counter(dataset.films[i].patient for i in drawn if dataset.labels[i] == label)
        every = [times.get(f"{label}-{patient}", 0) for patient in range(len(counts))]
        assert max(every) - min(every) <= 1


def test_a_balanced_draw_reaches_every_film_of_a_patient() -> None:
    dataset = uneven([5, 1], [1, 1])
    drawn = draw_balanced(dataset, 800, np.random.default_rng(3))
    times = Counter(int(i) for i in drawn)
    assert all(times[i] > 20 for i in range(5))  # 200 draws of that patient, 40 expected of each


def test_class_weights_are_the_other_class_share() -> None:
    normal, pneumonia = class_weights(np.array([0] * 1341 + [1] * 3875))
    assert normal == pytest.approx(3875 / 5216)
    assert pneumonia == pytest.approx(1341 / 5216)


def test_a_batch_depends_on_seed_epoch_and_place_alone(dataset: Dataset, tiny: Recipe) -> None:
    one, other = Batches(dataset, tiny), Batches(dataset, tiny)
    one.begin_epoch(3)
    for _ in range(2):
        one[0]  # what was drawn before does not matter
    other.begin_epoch(2)
    other.begin_epoch(3)
    for index in (2, 0):
        for got, want in zip(one[index], other[index], strict=True):
            np.testing.assert_array_equal(got, want)
    assert (one[0][0] != one[1][0]).any()
    before = one[0][0]
    one.begin_epoch(4)
    assert (one[0][0] != before).any()
    reseeded = Batches(dataset, msgspec.structs.replace(tiny, seed=21))
    reseeded.begin_epoch(3)
    assert (reseeded[0][0] != before).any()


def test_a_batch_holds_augmented_films_and_their_labels(dataset: Dataset, tiny: Recipe) -> None:
    still = msgspec.structs.replace(
        tiny.augmentation, rotation_degrees=0, shift=0, shear=0, zoom=0, horizontal_flip=False,
        brightness=0, contrast=0, gamma=0, sharpness=0, erase=0,
    )  # fmt: skip
    recipe = msgspec.structs.replace(tiny, augmentation=still)
    known = {
        tensor.tobytes(): int(label)
        for tensor, label in zip(dataset.tensors, dataset.labels, strict=True)
    }
    batches = Batches(dataset, recipe)
    assert len(batches) == 4
    for index in range(4):
        images, labels = batches[index]
        assert images.shape == (4, 150, 150, 1)
        assert images.dtype == labels.dtype == np.float32
        assert [known[image.astype(np.uint8).tobytes()] for image in images] == labels.tolist()


def test_an_epoch_of_all_films_drops_its_last_partial_batch(dataset: Dataset, tiny: Recipe) -> None:
    recipe = msgspec.structs.replace(tiny, sampling="all", images_per_epoch=None, batch_size=5)
    batches = Batches(dataset, recipe)
    assert len(batches) == 32 // 5
    assert all(len(batches[i][1]) == 5 for i in range(len(batches)))
    few = Batches(dataset.subset([0, 31]), recipe)
    assert len(few) == 1
    assert len(few[0][1]) == 2


def test_an_epoch_may_be_cut_short(dataset: Dataset, tiny: Recipe) -> None:
    recipe = msgspec.structs.replace(tiny, sampling="all", images_per_epoch=13, batch_size=4)
    assert len(Batches(dataset, recipe)) == 3


def test_unlabelled_views_come_evenly_from_their_folders(tiny: Recipe) -> None:
    tensors = np.arange(40, dtype=np.uint8).repeat(150 * 150).reshape(40, 150, 150, 1)
    folders = np.array([0] * 37 + [1] * 3)
    part = Pretraining(
        batch_size=4, images_per_epoch=12, monitor_images=2, weight_decay=0.0, members={}
    )
    still = Augmentation(rotation_degrees=0, shift=0, shear=0, zoom=0, horizontal_flip=False)
    views = Views(tensors, folders, msgspec.structs.replace(tiny, augmentation=still), part)
    assert len(views) == 3
    first = [int(image.mean()) for index in range(3) for image in views[index][0]]
    assert sum(number >= 37 for number in first) == 6
    assert {first.count(number) for number in (37, 38, 39)} == {2}
    assert len(set(first)) == 9
    assert views[0][1].shape == (4, 1)
    views.begin_epoch(2)
    assert [int(image.mean()) for index in range(3) for image in views[index][0]] != first
    views.begin_epoch(1)
    assert [int(image.mean()) for index in range(3) for image in views[index][0]] == first


def test_an_epoch_of_all_films_shows_each_once(dataset: Dataset, tiny: Recipe) -> None:
    shown: dict[float, int] = defaultdict(int)
    recipe = msgspec.structs.replace(tiny, sampling="all", images_per_epoch=None, batch_size=4)
    numbered = Dataset(
        dataset.films,
        np.repeat(np.arange(32, dtype=np.uint8), 150 * 150).reshape(32, 150, 150, 1),
    )
    flat = msgspec.structs.replace(
        tiny.augmentation, brightness=0, contrast=0, gamma=0, sharpness=0, erase=0
    )
    batches = Batches(numbered, msgspec.structs.replace(recipe, augmentation=flat))
    for index in range(len(batches)):
        for image in batches[index][0]:
            shown[float(image.mean())] += 1
    assert shown == {float(n): 1 for n in range(32)}


def test_the_papers_weights_go_with_the_labels(dataset: Dataset, tiny: Recipe) -> None:
    uneven_set = dataset.subset([*range(8), *range(16, 32)])  # 8 normal, 16 pneumonia
    batches = Batches(uneven_set, msgspec.structs.replace(tiny, class_weights="paper"))
    _, labels, weights = batches[0]
    expected = np.where(labels == 1, 8 / 24, 16 / 24)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_a_batch_is_made_by_augment_alone(dataset: Dataset, tiny: Recipe) -> None:
    one = dataset.subset([0, 16])  # a film of each class: a balanced draw of two is these
    recipe = msgspec.structs.replace(tiny, batch_size=2, images_per_epoch=2)
    images, labels = Batches(one, recipe)[0]
    rng = np.random.default_rng((recipe.seed, 1, 0))
    for image, label in zip(images, labels, strict=True):
        np.testing.assert_array_equal(
            image, augment(one.tensors[int(label)], recipe.augmentation, rng)
        )
