from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pneumo_edge.errors import DatasetError
from train.dataset import Dataset, Film, training_films
from train.folds import Folds, cut, look_folds, number_folds, patient_folds


@st.composite
def collections_of_films(draw: st.DrawFn) -> list[Film]:
    """20 to 30 patients of one class or of both, with one to four films each."""
    films = []
    for number in range(draw(st.integers(20, 30))):
        labels = (
            (0,) if number < 8 else (1,) if number < 16 else draw(st.sampled_from([(0,), (1,)]))
        )
        for label in labels:
            films += [
                Film(Path(f"{number}_{film}"), label, f"p{number}", f"{number}_{film}")
                for film in range(draw(st.integers(1, 4)))
            ]
    return films


def patients_of_folds(films: list[Film] | tuple[Film, ...], folds: Folds) -> dict[str, set[int]]:
    where = defaultdict(set)
    for number, part in enumerate(folds):
        for i in part:
            where[films[i].patient].add(number)
    return where


def numbered(films: list[Film], count: int, _seed: int) -> Folds:
    return number_folds(films, count)


@pytest.mark.parametrize("method", [patient_folds, numbered])
@given(films=collections_of_films(), count=st.integers(2, 4), seed=st.integers(0, 99))
def test_folds_hold_out_every_film_once_and_never_split_a_patient(
    method: Callable[..., Folds], films: list[Film], count: int, seed: int
) -> None:
    cut = method(films, count, seed)
    assert len(cut) == count
    assert sorted(i for part in cut for i in part) == list(range(len(films)))
    assert {len(numbers) for numbers in patients_of_folds(films, cut).values()} == {1}
    assert cut == method(films, count, seed)
    assert all({films[i].label for i in part} == {0, 1} for part in cut)


def test_another_seed_cuts_other_folds(data: Path) -> None:
    films = training_films(data)
    assert patient_folds(films, 2, 1) != patient_folds(films, 2, 2)


def test_too_few_patients_for_the_folds_are_refused(data: Path) -> None:
    films = [f for f in training_films(data) if f.label or f.patient in {"IM-0000", "IM-0001"}]
    for method in (patient_folds, numbered):
        with pytest.raises(DatasetError, match="2 normal patients cannot fill 3 folds"):
            method(films, 3, 20)


def test_number_folds_are_blocks_of_neighbouring_numbers() -> None:
    films = [
        Film(Path(f"{n}"), label, f"{n}-{kind}", f"{kind}{n}")
        for label, kind in enumerate(("IM", "virus"))
        for n in range(1, 13)
    ]
    folds = number_folds(films, 3)
    numbers = [sorted(int(films[i].patient.split("-")[0]) for i in part) for part in folds]
    # Numbers, not letters: 10 to 12 do not stand between 1 and 2.
    assert numbers == [sorted(2 * list(range(k, k + 4))) for k in (1, 5, 9)]


def films_of_looks(looks: int, each: int) -> tuple[Dataset, NDArray[np.int64]]:
    """Films in which a look is a grey level of the frame and a sharpness; patients have two films of a look."""
    rng = np.random.default_rng(8)
    films, tensors, truth = [], [], []
    for label in (0, 1):
        for look in range(looks):
            for number in range(each):
                film = rng.normal(120, 3 + 12 * look, (150, 150))
                film[:20] = film[-20:] = film[:, :20] = film[:, -20:] = 40 + 60 * look
                films.append(Film(Path("-"), label, f"{label}-{look}-{number // 2}", f"{number}"))
                tensors.append(np.clip(film, 0, 255).astype(np.uint8)[..., None])
                truth.append(look)
    return Dataset(tuple(films), np.stack(tensors)), np.array(truth)


def test_look_folds_hold_out_one_way_of_taking_films_of_both_classes() -> None:
    dataset, truth = films_of_looks(3, 8)
    folds = look_folds(dataset, 3, seed=1)
    assert sorted(i for part in folds for i in part) == list(range(48))
    assert [len(set(truth[list(part)])) for part in folds] == [1, 1, 1]
    assert all(set(dataset.labels[list(part)]) == {0, 1} for part in folds)
    assert {len(n) for n in patients_of_folds(dataset.films, folds).values()} == {1}
    assert cut(dataset, "look", 3, 1) == folds
    assert cut(dataset, "number", 3, 1) == number_folds(dataset.films, 3)
    assert cut(dataset, "patient", 3, 1) == patient_folds(dataset.films, 3, 1)


def test_a_patient_of_two_looks_is_held_out_whole_with_the_look_of_most_films() -> None:
    dataset, truth = films_of_looks(2, 8)
    patients = [film.patient for film in dataset.films]
    mixed = [0, 1, 8]  # two films of the first look, one of the second
    assert truth[mixed].tolist() == [0, 0, 1]
    films = tuple(
        Film(film.path, film.label, "mixed" if i in mixed else patients[i], film.name)
        for i, film in enumerate(dataset.films)
    )
    folds = look_folds(Dataset(films, dataset.tensors), 2, seed=1)
    (home,) = patients_of_folds(films, folds)["mixed"]
    assert set(mixed) <= set(folds[home])
    assert set(truth[list(folds[home])]) == {0, 1}
    assert (truth[list(folds[home])] == 0).sum() == 16
