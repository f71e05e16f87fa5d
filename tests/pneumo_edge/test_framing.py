"""Framing the thorax: it follows the film's own scale and shift, and bad input is taken whole."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.errors import BundleError
from pneumo_edge.framing import (
    FARTHEST,
    FILE,
    LARGEST,
    MARGIN,
    SHIFT_STEP,
    SMALLEST,
    TEMPLATE_SIDE,
    Template,
    crop,
    decode_template,
    encode_template,
    find,
    framed,
    read_template,
    thumbnail,
)
from pneumo_edge.measure import SAMPLES
from pneumo_edge.prepare import prepare
from pneumo_edge.types import SIDE, Frame, InputTensor


@pytest.fixture(scope="module")
def tensor() -> InputTensor:
    """A sample film."""
    return prepare(decode_file(SAMPLES / "normal.png"))


@pytest.fixture(scope="module")
def template() -> Template:
    """Of the bundle that ships."""
    found = read_template(load_bundle())
    assert found is not None
    return found


def test_the_template_is_that_of_a_chest(template: Template) -> None:
    # Lungs are dark on both sides of a bright middle, over a bright belly.
    rows = slice(TEMPLATE_SIDE // 3, TEMPLATE_SIDE // 2)
    left, middle, right = (
        template[rows, cols].mean() for cols in (slice(14, 22), slice(29, 35), slice(42, 50))
    )
    assert middle > left + 20
    assert middle > right + 20
    assert template[-6:, 20:44].mean() > left + 20


@settings(deadline=None, max_examples=40)
@given(
    across=st.floats(0.92, 1.08),
    down=st.floats(0.92, 1.08),
    right=st.floats(-5, 5),
    below=st.floats(-5, 5),
)
def test_a_frame_follows_the_film(
    template: Template,
    tensor: InputTensor,
    across: float,
    down: float,
    right: float,
    below: float,
) -> None:
    """What lies in the frame is the same part of the patient, however the film was taken."""
    as_it_is = find(template, tensor)
    moved = find(template, crop(Frame(across, down, right, below), tensor))
    # A film of which `across` is shown is stretched by 1 / across, and so is the frame on it.
    assert moved.across == pytest.approx(as_it_is.across / across, abs=0.08)
    assert moved.down == pytest.approx(as_it_is.down / down, abs=0.08)
    assert moved.right == pytest.approx((as_it_is.right - right) / across, abs=5)
    assert moved.below == pytest.approx((as_it_is.below - below) / down, abs=5)


def test_a_frame_is_rounded_so_that_processors_agree(
    template: Template, tensor: InputTensor
) -> None:
    frame = find(template, tensor)
    assert frame.across * 64 == round(frame.across * 64)
    assert frame.below / SHIFT_STEP == round(frame.below / SHIFT_STEP)
    noisy = tensor.pixels.astype(np.int16) + np.random.default_rng(1).integers(
        -1, 2, tensor.pixels.shape
    )
    near = find(template, InputTensor(noisy.clip(0, 255).astype(np.uint8)))
    assert near.across == pytest.approx(frame.across, abs=1 / 64)
    assert near.down == pytest.approx(frame.down, abs=1 / 64)


@settings(deadline=None, max_examples=30)
@given(pixels=arrays(np.uint8, (1, SIDE, SIDE, 1), elements=st.integers(0, 255)))
def test_any_picture_has_a_frame_within_bounds(
    template: Template, pixels: NDArray[np.uint8]
) -> None:
    seen, frame = framed(template, InputTensor(pixels))
    assert frame is not None
    assert seen.pixels.shape == (1, SIDE, SIDE, 1)
    for scale in (frame.across, frame.down):
        assert scale == 1 or SMALLEST * MARGIN - 0.01 <= scale <= LARGEST * MARGIN + 0.01
    assert max(abs(frame.right), abs(frame.below)) <= FARTHEST * SIDE + SHIFT_STEP


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_picture_is_taken_whole(template: Template, level: int) -> None:
    blank = InputTensor(np.full((1, SIDE, SIDE, 1), level, np.uint8))
    seen, frame = framed(template, blank)
    assert frame == Frame()
    np.testing.assert_array_equal(seen.pixels, blank.pixels)


def test_without_a_template_the_whole_film_is_seen(tensor: InputTensor) -> None:
    seen, frame = framed(None, tensor)
    assert seen is tensor
    assert frame is None


def test_a_crop_is_the_part_that_its_frame_says(tensor: InputTensor) -> None:
    ramp = np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1))
    frame = Frame(across=0.5, down=1.0, right=10.0, below=0.0)
    seen = crop(frame, InputTensor(ramp.reshape(1, SIDE, SIDE, 1))).pixels[0, 0, :, 0]
    left, _, right, _ = frame.box
    # Pixel k of a ramp is k, and its middle lies at (k + 0.5) / SIDE of the film.
    ends = ((seen[0] + 0.5) / SIDE, (seen[-1] + 0.5) / SIDE)
    assert ends[0] == pytest.approx(left, abs=1 / SIDE)
    assert ends[1] == pytest.approx(right, abs=1 / SIDE)


def test_beyond_the_films_edge_it_is_repeated() -> None:
    ramp = np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1))
    seen = crop(Frame(right=40.0), InputTensor(ramp.reshape(1, SIDE, SIDE, 1))).pixels
    assert (seen[0, :, -40:, 0] == SIDE - 1).all()


def test_the_whole_film_has_the_whole_box() -> None:
    assert Frame().box == (0.0, 0.0, 1.0, 1.0)


def test_a_template_is_read_as_it_was_written(template: Template) -> None:
    np.testing.assert_array_equal(decode_template(encode_template(template)), template)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((8, 8)),
        np.full((TEMPLATE_SIDE, TEMPLATE_SIDE), np.nan),
        np.full((TEMPLATE_SIDE, TEMPLATE_SIDE), 7.0),
    ],
)
def test_a_template_that_is_none_is_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="a template"):
        decode_template(encode_template(bad.astype(np.float32)))


def test_a_bundle_with_a_damaged_template_says_so(
    bundle_with: Callable[[dict[str, bytes]], Bundle],
) -> None:
    bundle = bundle_with({FILE: b"no template"})
    with pytest.raises(BundleError, match=r"template\.npz cannot be used"):
        read_template(bundle)


def test_a_bundle_without_one_shows_whole_films() -> None:
    bundle = load_bundle()
    older = msgspec.structs.replace(bundle.manifest, template=None)
    assert read_template(type(bundle)(bundle.path, older, bundle.prefix)) is None


def test_a_thumbnail_has_its_grey_levels_spread(tensor: InputTensor) -> None:
    small = thumbnail(tensor.pixels[0, ..., 0])
    assert small.shape == (TEMPLATE_SIDE, TEMPLATE_SIDE)
    dim = thumbnail((tensor.pixels[0, ..., 0] // 2).astype(np.uint8))
    assert np.abs(small - dim).mean() < 4
