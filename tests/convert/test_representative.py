from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.representative import (
    draw_representative,
    order,
    refuse_alike,
    refuse_evaluated,
)
from pneumo_edge.decode import decode_file
from pneumo_edge.errors import DatasetError
from pneumo_edge.prepare import prepare
from train.dataset import Film, list_films, load, training_films

films_strategy = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=40
).map(
    lambda pairs: [
        Film(Path(f"{k}.png"), label, f"{label}-{patient}", f"{k}.png")
        for k, (label, patient) in enumerate(pairs)
    ]
)


@given(films=films_strategy, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_the_order_is_every_film_once_and_depends_on_the_seed_alone(
    films: list[Film], seed: int, data: st.DataObject
) -> None:
    drawn = order(films, seed)
    assert sorted(drawn, key=lambda f: f.name) == sorted(films, key=lambda f: f.name)
    assert drawn == order(data.draw(st.permutations(films)), seed)


@given(films=films_strategy, seed=st.integers(0, 1000))
def test_classes_take_turns_and_no_patient_comes_twice_before_all_came_once(
    films: list[Film], seed: int
) -> None:
    drawn = order(films, seed)
    shorter = min(sum(f.label == k for f in films) for k in (0, 1))
    assert [f.label for f in drawn[: 2 * shorter]] == [0, 1] * shorter
    for label in (0, 1):
        patients = [f.patient for f in drawn if f.label == label]
        first = len(set(patients))
        assert len(set(patients[:first])) == first


def test_another_seed_draws_other_films(data: Path) -> None:
    films = training_films(data)
    draws = [[f.name for f in draw_representative(films, 6, seed).films] for seed in (1, 1, 2)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_films_are_prepared_as_inference_prepares_them(data: Path) -> None:
    chosen = draw_representative(training_films(data), 8, 3)
    for film, pixels in zip(chosen.films, chosen.pixels, strict=True):
        np.testing.assert_array_equal(pixels, prepare(decode_file(film.path)).pixels[0])


def test_no_film_of_the_test_split_is_drawn(data: Path) -> None:
    drawn = draw_representative(training_films(data), 8, 3)
    test_patients = {film.patient for film in list_films(data / "test")}
    assert not test_patients & {film.patient for film in drawn.films}


def test_the_films_to_check_by_are_of_other_patients(data: Path) -> None:
    films = training_films(data)
    drawn = draw_representative(films, 6, 3)
    by_pixels = {load([film]).tensors.tobytes(): film.patient for film in films}
    patients = {by_pixels[pixels[None].tobytes()] for pixels in drawn.check}
    assert len(drawn.check) == 3
    assert not patients & {film.patient for film in drawn.films}


def test_too_few_patients_to_check_by_is_refused(data: Path) -> None:
    with pytest.raises(
        DatasetError, match="24 representative films leave 0 of other patients, not 12"
    ):
        draw_representative(training_films(data), 24, 3)


def test_films_of_evaluated_patients_are_refused(data: Path) -> None:
    films = training_films(data)
    drawn = draw_representative(films, 6, 3)
    refuse_evaluated(drawn, load(list_films(data / "test")))
    patient = next(f for f in films if f.patient == drawn.films[0].patient)
    with pytest.raises(DatasetError, match=f"patient {drawn.films[0].patient}"):
        refuse_evaluated(drawn, load([patient]))
    twin = dataclasses.replace(drawn.films[0], patient="someone else")
    with pytest.raises(DatasetError, match="is one of those that parity is measured on"):
        refuse_evaluated(drawn, load([twin]))


def test_more_films_than_there_are_is_refused_with_both_numbers(data: Path) -> None:
    with pytest.raises(DatasetError, match=r"500 representative films .* of 24"):
        draw_representative(training_films(data), 500, 3)


def two_classes(folder: Path, films: list[np.ndarray]) -> tuple[Film, ...]:
    for k, film in enumerate(films):
        place = folder / ("normal" if k % 2 else "pneumonia")
        place.mkdir(exist_ok=True)
        assert cv2.imwrite(str(place / f"patient{k}.png"), film)
    return list_films(folder)


def test_an_unreadable_film_is_replaced_by_the_next(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    films = two_classes(tmp_path, [rng.integers(0, 256, (160, 160), np.uint8) for _ in range(60)])
    broken = order(films, 5)[4]
    broken.path.write_bytes(b"no image")
    # Of 36 films one is 2.8 %, less than what makes a folder suspect.
    chosen = draw_representative(films, 36, 5)
    assert len(chosen.films) == 36
    assert broken not in chosen.films


def test_copies_of_one_film_are_refused() -> None:
    film = np.random.default_rng(0).integers(0, 256, (1, 150, 150, 1), np.uint8)
    with pytest.raises(DatasetError, match="only 1 of 10"):
        refuse_alike(np.repeat(film, 10, 0))


def test_films_without_contrast_are_refused() -> None:
    grey = np.arange(10, dtype=np.uint8)[:, None, None, None] + np.zeros(
        (10, 150, 150, 1), np.uint8
    )
    with pytest.raises(DatasetError, match="10 of 10 representative films are nearly uniform"):
        refuse_alike(grey)
