"""A codec is not asked for more pixels than the file's header has."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000Lossless

from pneumo_edge.decode import decode
from pneumo_edge.dicom.codestream import size
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.image_header import MalformedHeaderError

Build = Callable[..., bytes]


def jpeg(rows: int, cols: int, *options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.zeros((rows, cols), np.uint8), options)[1])


@pytest.mark.parametrize("progressive", [0, 1])
def test_the_size_of_a_jpeg(progressive: int) -> None:
    assert size(jpeg(33, 71, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)) == (33, 71)


def test_the_size_of_a_jpeg_ls_frame() -> None:
    # ITU-T T.87, H.3: the example of the standard, 4 by 4 of 8 bits
    assert size(bytes.fromhex("ffd8fff7000b080004000401011100")) == (4, 4)


def test_the_size_of_a_jpeg_2000_frame() -> None:
    encoded = bytes(cv2.imencode(".jp2", np.zeros((33, 71), np.uint8))[1])
    assert size(encoded) == (33, 71)
    assert size(encoded[encoded.index(b"\xff\x4f\xff\x51") :]) == (33, 71)


@given(st.binary(max_size=80), st.sampled_from([b"", b"\xff\xd8\xff", b"\xff\x4f\xff\x51\0\x29"]))
def test_other_bytes_are_refused_in_one_way(tail: bytes, head: bytes) -> None:
    try:
        rows, cols = size(head + tail)
    except MalformedHeaderError:
        return
    assert isinstance(rows, int)
    assert isinstance(cols, int)


def test_a_frame_that_claims_more_than_its_file_is_refused(
    dicom_file: Build, deep: NDArray[Any]
) -> None:
    data = dicom_file(deep, JPEG2000Lossless)
    frame = get_frame(pydicom.dcmread(io.BytesIO(data)).PixelData, 0)
    grown = frame[:8] + struct.pack(">2I", 60000, 60000) + frame[16:]
    with pytest.raises(BadRadiographError, match="frame of 60000 x 60000 pixels, its header says"):
        decode(data.replace(frame, grown), "film")
