"""The pixel pipeline against pydicom's, for whatever window, slope and depth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from pneumo_edge.dicom.grey import render
from pneumo_edge.dicom.image import Image, Lut, Window


def image(signed: bool = False, bits: int = 12, inverse: bool = False, **values: object) -> Image:
    plain: dict[str, object] = {
        "rows": 80,
        "cols": 80,
        "samples": 1,
        "photometric": "MONOCHROME2",
        "frames": 1,
        "bits_allocated": 16,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "signed": signed,
        "padding": None,
        "slope": 1.0,
        "intercept": 0.0,
        "modality": None,
        "voi": None,
        "window": None,
        "inverse": inverse,
        "aspect": 1.0,
    }
    return Image(**(plain | values))  # type: ignore[arg-type]  # by name, one by one


def ramp(signed: bool, bits: int) -> NDArray[np.integer]:
    """(80, 80): the ends of the range, and what lies between."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = np.linspace(low, high, 6400).round().reshape(80, 80)
    return values.astype(np.int16 if signed else np.uint16)


@given(
    centre=st.floats(-3000, 6000),
    width=st.floats(1.5, 9000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    slope=st.floats(-3, 3).filter(lambda slope: abs(slope) > 0.01),
    intercept=st.floats(-2000, 2000),
    signed=st.booleans(),
    bits=st.integers(9, 16),
)
def test_a_window_agrees_with_pydicom(
    centre: float,
    width: float,
    function: str,
    slope: float,
    intercept: float,
    signed: bool,
    bits: int,
) -> None:
    stored = ramp(signed, bits)
    centre, width, slope, intercept = (round(x, 6) for x in (centre, width, slope, intercept))
    data = Dataset()
    # Without the slope: pydicom turns its range of output round where that is negative.
    data.PhotometricInterpretation, data.BitsStored = "MONOCHROME2", bits
    data.PixelRepresentation, data.VOILUTFunction = int(signed), function
    data.WindowCenter, data.WindowWidth = centre, width
    with np.errstate(over="ignore"):
        wide = apply_windowing(stored * slope + intercept, data)
    expected = (wide - float(stored.min())) / (2**bits - 1) * 65535
    window = Window(centre, width, function)
    found = render(stored, image(signed, bits, window=window, slope=slope, intercept=intercept))
    worst = np.abs(found - expected).max()
    assert worst <= 0.51, f"off by {worst} of 65535"


@given(signed=st.booleans(), bits=st.integers(8, 16), low=st.integers(0, 60))
def test_inversion_turns_every_level_round(signed: bool, bits: int, low: int) -> None:
    stored = ramp(signed, bits)[low:]
    top = 255 if bits == 8 else 65535
    upright = render(stored, image(signed, bits)).astype(int)
    inverted = render(stored, image(signed, bits, inverse=True)).astype(int)
    assert np.abs(upright + inverted - top).max() <= 1


@pytest.mark.parametrize(("top", "bits"), [(4095, 12), (4096, 14), (65535, 16), (1023, 10)])
def test_a_container_of_16_bits_is_read_by_its_brightest_pixel(top: int, bits: int) -> None:
    stored = np.linspace(0, top, 6400).astype(np.uint16).reshape(80, 80)
    expected = np.rint(stored / (2**bits - 1) * 65535)
    np.testing.assert_array_equal(render(stored, image(bits=16)), expected)


def test_a_table_holds_its_ends_beyond_them() -> None:
    table = Lut(100, np.array([10, 200, 255], np.uint16), 8)
    stored = np.array([[0, 100, 101, 102, 4000]], np.uint16)
    found = render(stored, image(voi=table))
    np.testing.assert_array_equal(
        found[0], np.rint(np.array([10, 10, 200, 255, 255]) / 255 * 65535)
    )


def test_a_table_whose_first_value_was_written_unsigned_starts_below_zero() -> None:
    table = Lut(65536 - 2, np.array([0, 50, 100, 150], np.uint16), 8)
    stored = np.array([[-2, -1, 0, 1]], np.int16)
    found = render(stored, image(signed=True, voi=table))
    np.testing.assert_array_equal(found[0], np.rint(np.array([0, 50, 100, 150]) / 255 * 65535))


def test_the_widest_signed_range_does_not_overflow() -> None:
    stored = np.array([[-32768, 0, 32767]], np.int16)
    np.testing.assert_array_equal(render(stored, image(signed=True, bits=16)), [[0, 32768, 65535]])
