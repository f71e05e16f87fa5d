"""The template is fitted once for a run, and every film that a member sees is framed by it."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError
from pneumo_edge.framing import FILE as TEMPLATE
from pneumo_edge.framing import MARGIN, TEMPLATE_SIDE, crop, find
from pneumo_edge.types import SIDE, Frame, InputTensor
from train.dataset import Dataset, Film
from train.framing import fit_template, framed_films, framed_pixels, keep_template
from train.recipe import Recipe
from train.run import Run


def torso(across: float, down: float, right: float, below: float) -> NDArray[np.uint8]:
    """(150, 150): two dark lungs with ribs in a bright body, taken with that frame."""
    grey = np.full((SIDE, SIDE), 60, np.uint8)
    cv2.ellipse(grey, (75, 90), (62, 90), 0, 0, 360, 180, -1)
    for middle in (50, 100):
        cv2.ellipse(grey, (middle, 75), (18, 42), 0, 0, 360, 70, -1)
        for row in range(45, 110, 12):
            cv2.line(grey, (middle - 14, row), (middle + 14, row + 5), 130, 2)
    whole = InputTensor(grey.reshape(1, SIDE, SIDE, 1))
    return np.asarray(crop(Frame(across, down, right, below), whole).pixels[0], np.uint8)


@pytest.fixture(scope="module")
def torsos() -> Dataset:
    """40 of them, of two classes, each framed otherwise."""
    rng = np.random.default_rng(3)
    tensors, films = [], []
    for k in range(40):
        scale, shift = rng.uniform(0.85, 1.15, 2), rng.uniform(-8, 8, 2)
        tensors.append(torso(*scale, *shift))
        films.append(Film(Path(f"{k}.png"), k % 2, f"patient {k}", f"{k}.png"))
    return Dataset(tuple(films), np.stack(tensors))


def test_films_that_were_framed_otherwise_come_to_lie_on_one_another(torsos: Dataset) -> None:
    template = fit_template(torsos, seed=1)
    seen = framed_films(torsos, template)

    def spread(films: Dataset) -> float:
        return float(films.tensors.astype(np.float64).std(axis=0).mean())

    assert spread(seen) < spread(torsos) / 2
    assert seen.films == torsos.films


def test_a_template_neither_grows_nor_wanders(torsos: Dataset) -> None:
    template = fit_template(torsos, seed=1)
    frames = [find(template, InputTensor(t[None])) for t in torsos.tensors]
    assert np.mean([f.across for f in frames]) == pytest.approx(MARGIN, abs=0.05)
    assert np.mean([f.down for f in frames]) == pytest.approx(MARGIN, abs=0.05)
    assert abs(np.mean([f.right for f in frames])) < 3
    assert template.shape == (TEMPLATE_SIDE, TEMPLATE_SIDE)


def test_a_template_is_the_same_for_the_same_seed(torsos: Dataset) -> None:
    one, other = fit_template(torsos, 1), fit_template(torsos, 1)
    np.testing.assert_array_equal(one, other)


def test_films_of_which_none_can_be_laid_still_have_a_template() -> None:
    films = tuple(Film(Path(f"{k}.png"), k % 2, f"{k}", f"{k}.png") for k in range(4))
    blank = Dataset(films, np.full((4, SIDE, SIDE, 1), 9, np.uint8))
    assert np.isfinite(fit_template(blank, 1)).all()


def test_a_run_keeps_its_template(torsos: Dataset, tiny: Recipe, tmp_path: Path) -> None:
    run = Run(tmp_path)
    recipe = msgspec.structs.replace(tiny, framing=True)
    fitted = keep_template(run, torsos, recipe)
    assert fitted is not None
    again = keep_template(run, torsos.subset(range(10)), recipe)
    assert again is not None
    np.testing.assert_array_equal(fitted, again)


def test_a_recipe_without_framing_leaves_films_as_they_are(
    torsos: Dataset, tiny: Recipe, tmp_path: Path
) -> None:
    recipe = msgspec.structs.replace(tiny, framing=False)
    template = keep_template(Run(tmp_path), torsos, recipe)
    assert template is None
    assert not (tmp_path / TEMPLATE).exists()
    np.testing.assert_array_equal(framed_films(torsos, template).tensors, torsos.tensors)


def test_a_damaged_template_is_told(tmp_path: Path) -> None:
    (tmp_path / TEMPLATE).write_bytes(b"PK nothing")
    with pytest.raises(RecipeError, match=r"template\.npz cannot be read"):
        Run(tmp_path).template()


def test_no_films_need_no_threads(torsos: Dataset) -> None:
    none = np.empty((0, SIDE, SIDE, 1), np.uint8)
    assert framed_pixels(none, fit_template(torsos, 1)) is none
