"""Directories of tags, sound and malicious."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from pneumo_edge import tiff_tags


@pytest.mark.parametrize("big", [False, True])
def test_the_tags_are_those_that_pillow_wrote(big: bool) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((90, 100, 3), np.uint8)).save(stream, "TIFF", big_tiff=big)
    (page,) = tiff_tags.pages(stream.getvalue())
    written = TiffImagePlugin.TiffImageFile(io.BytesIO(stream.getvalue())).tag_v2
    for tag in (tiff_tags.COLS, tiff_tags.ROWS, tiff_tags.SAMPLES_PER_PIXEL):
        assert page[tag] == written[tag]
    assert page[tiff_tags.BITS_PER_SAMPLE] == written[tiff_tags.BITS_PER_SAMPLE][0] == 8


def exif(value: int, order: str = "<") -> bytes:
    """One directory with an orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", tiff_tags.ORIENTATION, 3, 1, value, 0)
    return mark + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_is_read_in_both_byte_orders(order: str) -> None:
    assert [tiff_tags.orientation(exif(value, order)) for value in range(1, 9)] == [*range(1, 9)]


@pytest.mark.parametrize("data", [b"", b"II*\0", exif(0), exif(9), exif(6)[:12], b"junk" * 9])
def test_a_useless_orientation_is_upright(data: bytes) -> None:
    assert tiff_tags.orientation(data) == 1


def test_a_loop_of_directories_ends() -> None:
    with pytest.raises(ValueError, match="loop"):
        tiff_tags.pages(exif(1)[:-4] + struct.pack("<I", 8))


def test_a_directory_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="runs past the end"):
        tiff_tags.pages(b"II*\0" + struct.pack("<IH", 8, 60_000))


def with_exposure(tag: int, order: str) -> bytes:
    """A first directory that points to an EXIF directory of one tag."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    first = struct.pack(order + "HHII", tiff_tags.EXIF_IFD, 4, 1, 26)
    second = struct.pack(order + "HHHII", 1, tag, 3, 1, 5) + struct.pack(order + "I", 0)
    return mark + struct.pack(order + "IH", 8, 1) + first + struct.pack(order + "I", 0) + second


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_exposure_tells_a_camera(order: str) -> None:
    for tag in (tiff_tags.EXPOSURE_TIME, tiff_tags.F_NUMBER, tiff_tags.FOCAL_LENGTH):
        assert tiff_tags.by_camera(with_exposure(tag, order))
        assert not tiff_tags.by_camera(with_exposure(tag, order)[:28])
    assert not tiff_tags.by_camera(with_exposure(0x9000, order)), "the version alone"
    assert not tiff_tags.by_camera(exif(6, order))
    assert not tiff_tags.by_camera(b"")
