"""What the preparation promises, for films of any size and depth."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pneumo_edge.prepare import prepare
from pneumo_edge.types import SIDE, InputTensor, Radiograph

SIDES = st.integers(75, 400)


@st.composite
def films(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Noise under a random contrast, of any size."""
    shape = draw(SIDES), draw(SIDES)
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, 256, shape)
    low, high = sorted((draw(st.integers(0, 255)), draw(st.integers(0, 255))))
    return (low + noise * (high - low) // 255).astype(np.uint8)


def tensor(pixels: NDArray[np.uint8] | NDArray[np.uint16], bits: int = 8) -> NDArray[np.int64]:
    return prepare(Radiograph(pixels, bits, "film")).pixels.astype(np.int64)


@settings(max_examples=60, deadline=None)
@given(rows=SIDES, cols=SIDES, bits=st.integers(9, 16), part=st.floats(0, 1))
def test_a_constant_film_stays_constant(rows: int, cols: int, bits: int, part: float) -> None:
    level = round(part * 255)
    assert np.unique(tensor(np.full((rows, cols), level, np.uint8))).tolist() == [level]
    top = 2**bits - 1
    deep = round(part * top)
    found = np.unique(tensor(np.full((rows, cols), deep, np.uint16), bits)).tolist()
    assert found == [round(deep * 255 / top)]


@settings(max_examples=60, deadline=None)
@given(films())
def test_depth_does_not_matter(pixels: NDArray[np.uint8]) -> None:
    worst = np.abs(tensor(pixels) - tensor(pixels.astype(np.uint16) * 257, 16)).max()
    assert worst <= 1, f"{worst} grey levels apart"


@settings(max_examples=60, deadline=None)
@given(films())
def test_inverting_the_film_inverts_the_tensor(pixels: NDArray[np.uint8]) -> None:
    worst = np.abs(tensor(pixels) + tensor(255 - pixels) - 255).max()
    assert worst <= 1, f"{worst} grey levels apart"


@settings(max_examples=60, deadline=None)
@given(films(), st.integers(0, 60))
def test_a_brighter_film_is_nowhere_darker(pixels: NDArray[np.uint8], more: int) -> None:
    brighter = np.minimum(pixels.astype(int) + more, 255).astype(np.uint8)
    assert (tensor(brighter) >= tensor(pixels)).all()


@settings(max_examples=30, deadline=None)
@given(films())
def test_the_same_film_gives_the_same_bytes_and_is_not_touched(pixels: NDArray[np.uint8]) -> None:
    before = pixels.copy()
    np.testing.assert_array_equal(tensor(pixels), tensor(pixels))
    np.testing.assert_array_equal(pixels, before)


@settings(max_examples=30, deadline=None)
@given(films())
def test_no_grey_level_appears_from_nowhere(pixels: NDArray[np.uint8]) -> None:
    found = tensor(pixels)
    assert pixels.min() <= found.min()
    assert found.max() <= pixels.max()


def test_shrinking_by_a_whole_factor_is_the_mean_of_blocks() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE * 3, SIDE * 2)).astype(np.uint8)
    means = pixels.reshape(SIDE, 3, SIDE, 2).mean(axis=(1, 3))
    worst = np.abs(tensor(pixels)[0, :, :, 0] - means).max()
    assert worst <= 0.51, f"off by {worst}"


def test_the_backbones_are_given_every_grey_level_less_128() -> None:
    levels = np.resize(np.arange(256, dtype=np.uint8), (1, SIDE, SIDE, 1))
    signed = InputTensor(levels).signed
    assert signed.dtype == np.int8
    np.testing.assert_array_equal(signed, levels.astype(np.int16) - 128)
