from __future__ import annotations

from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from train.augment import affine, augment, erase, sharpen
from train.recipe import Augmentation, load_recipe

SIDE = 60
NOTHING = Augmentation(rotation_degrees=0, shift=0, shear=0, zoom=0, horizontal_flip=False)


def only(**values: Any) -> Augmentation:
    return msgspec.structs.replace(NOTHING, **values)


def film(seed: int = 1) -> NDArray[np.uint8]:
    """Smooth, so that interpolation costs little."""
    noise = np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), np.uint8)[..., None]  # type: ignore[call-overload]


class Fixed:
    """A generator whose uniform draws are the same fraction of each range."""

    def __init__(self, at: float, chance: float = 0.99) -> None:
        self.at, self.chance = at, chance

    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        value = low + self.at * (high - low)
        return value if size is None else np.full(size, value)

    def random(self) -> float:
        return self.chance


def changed(spec: Augmentation, rng: Any) -> NDArray[np.float32]:
    return augment(film(), spec, rng)[..., 0]


def test_no_range_changes_nothing() -> None:
    got = augment(film(), NOTHING, np.random.default_rng(0))
    np.testing.assert_array_equal(got, film().astype(np.float32))


def test_the_same_state_gives_the_same_variant() -> None:
    spec = load_recipe("best").augmentation
    one, same, other = (augment(film(), spec, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@given(
    tensor=hnp.arrays(np.uint8, (SIDE, SIDE, 1)),
    seed=st.integers(0, 2**32 - 1),
    full=st.booleans(),
)
def test_a_variant_stays_between_black_and_white_and_its_film_is_not_touched(
    tensor: NDArray[np.uint8], seed: int, full: bool
) -> None:
    spec = load_recipe("best").augmentation
    if full:
        wide = dict.fromkeys(
            ("shift", "shear", "zoom", "brightness", "contrast", "gamma", "sharpness"), 1.0
        )
        spec = msgspec.structs.replace(spec, rotation_degrees=180, erase=1.0, **wide)
    before = tensor.copy()
    got = augment(tensor, spec, np.random.default_rng(seed))
    assert got.shape == tensor.shape
    assert got.dtype == np.float32
    assert got.min() >= 0
    assert got.max() <= 255
    np.testing.assert_array_equal(tensor, before)


def test_a_flip_mirrors_the_columns() -> None:
    got = changed(only(horizontal_flip=True), Fixed(0.5, chance=0.1))
    np.testing.assert_allclose(got, film()[:, ::-1, 0], atol=1)


def test_a_quarter_turn_turns_by_a_quarter() -> None:
    got = changed(only(rotation_degrees=90), Fixed(1.0))
    turned = [np.rot90(film()[..., 0], k).astype(np.float32) for k in (1, 3)]
    assert min(float(np.abs(got - t).max()) for t in turned) <= 1


def test_a_shift_moves_by_its_fraction_of_the_side_and_repeats_the_edge() -> None:
    got = changed(only(shift=0.1), Fixed(1.0))
    step = SIDE // 10
    np.testing.assert_array_equal(got[:-step, :-step], film()[step:, step:, 0])
    np.testing.assert_array_equal(got[-step:, :-step], np.tile(got[-step - 1, :-step], (step, 1)))


def test_a_zoom_scales_about_the_centre() -> None:
    got = changed(only(zoom=0.1), Fixed(0.0))  # every output pixel looks 0.9 as far from the centre
    centre, rows = (SIDE - 1) / 2, np.arange(SIDE)
    at = centre + 0.9 * (rows - centre)
    low = np.floor(at).astype(int)
    part = (at - low)[:, None]
    source = film()[..., 0].astype(float)
    tall = source[low] * (1 - part) + source[np.minimum(low + 1, SIDE - 1)] * part
    both = tall[:, low] * (1 - part.T) + tall[:, np.minimum(low + 1, SIDE - 1)] * part.T
    # OpenCV rounds positions to a 32nd of a pixel and the result to a whole grey level.
    np.testing.assert_allclose(got, both, atol=2)


def test_a_shear_moves_each_row_by_its_height() -> None:
    matrix = affine(only(shear=0.5), SIDE, Fixed(1.0))  # type: ignore[arg-type]
    centre = (SIDE - 1) / 2
    for x, y in ((0, 0), (10, 50)):
        np.testing.assert_allclose(matrix @ [x, y, 1], [x + 0.5 * (y - centre), y])


@pytest.mark.parametrize("recipe", ["paper", "best"])
def test_the_geometry_covers_its_ranges_and_no_more(recipe: str) -> None:
    spec = load_recipe(recipe).augmentation
    rng = np.random.default_rng(4)
    draws = np.array([affine(spec, SIDE, rng) for _ in range(2000)])
    centre = np.array([(SIDE - 1) / 2, (SIDE - 1) / 2, 1])
    moved = (draws @ centre - centre[:2]) / SIDE
    assert np.abs(moved).max() == pytest.approx(spec.shift, rel=0.02)
    # The first column is the turned and scaled x axis: no shear reaches it.
    flips = np.sign(draws[:, 0, 0])
    angles = np.degrees(np.arctan2(draws[:, 1, 0] * flips, draws[:, 0, 0] * flips))
    assert np.abs(angles).max() == pytest.approx(spec.rotation_degrees, rel=0.02)
    assert np.abs(angles).max() <= spec.rotation_degrees
    widths = np.linalg.norm(draws[:, :, 0], axis=1)
    assert widths.min() == pytest.approx(1 - spec.zoom, rel=0.01)
    assert widths.max() == pytest.approx(1 + spec.zoom, rel=0.01)
    assert 0.45 < np.mean(flips < 0) < 0.55


def test_gamma_raises_to_a_power() -> None:
    got = changed(only(gamma=0.25), Fixed(1.0))
    expected = 255 * (film()[..., 0] / 255.0) ** 1.25
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_contrast_scales_about_the_mean_and_brightness_adds() -> None:
    source = film()[..., 0].astype(float)
    got = changed(only(contrast=0.2, brightness=0.1), Fixed(1.0))
    expected = (source - source.mean()) * 1.2 + source.mean() + 25.5
    np.testing.assert_allclose(got, expected.clip(0, 255), atol=1e-2)


@given(seed=st.integers(0, 2**32 - 1))
def test_an_erased_rectangle_covers_2_to_15_percent(seed: int) -> None:
    side = 150
    image = np.random.default_rng(7).uniform(0, 255, (side, side)).astype(np.float32)
    before = image.copy()
    erase(image, np.random.default_rng(seed))
    rows, cols = np.nonzero(image != before)
    box = image[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    np.testing.assert_allclose(box, before.mean(), rtol=1e-6)
    assert len(rows) == box.size
    # Whole pixels cost at most a row and a column.
    assert 0.02 * side**2 - sum(box.shape) - 1 <= box.size <= 0.15 * side**2


def test_erasing_happens_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    hit = [(augment(film(), only(erase=0.25), rng) != film()).any() for _ in range(800)]
    assert 0.2 < np.mean(hit) < 0.3


def test_sharpness_blurs_one_way_and_sharpens_the_other() -> None:
    noise = np.random.default_rng(2).uniform(60, 190, (SIDE, SIDE)).astype(np.float32)

    def detail(at: float) -> float:
        return float(cv2.Laplacian(sharpen(noise, 1.0, Fixed(at)), cv2.CV_32F).std())  # type: ignore[arg-type]

    assert detail(0.0) < 0.5 * detail(0.5) < detail(0.5) < detail(1.0)
    np.testing.assert_allclose(sharpen(noise, 1.0, Fixed(0.5)), noise, atol=1e-4)  # type: ignore[arg-type]
