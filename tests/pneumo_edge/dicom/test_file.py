"""Bounds on what parsing may cost, and what counts as DICOM."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from pneumo_edge.decode import decode
from pneumo_edge.dicom import is_dicom
from pneumo_edge.dicom.file import MAX_ELEMENTS, guarded, read
from pneumo_edge.dicom.image import KEYWORDS
from pneumo_edge.errors import BadRadiographError

Build = Callable[..., bytes]


@pytest.mark.parametrize("syntax", ["", ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("meta", [True, False])
def test_it_is_known_by_its_first_bytes(
    syntax: str, meta: bool, dicom_file: Build, deep: NDArray[Any]
) -> None:
    data = dicom_file(deep, syntax, meta)
    assert is_dicom(data[:132])
    if meta:  # some writers leave out the preamble alone
        assert is_dicom(data[132:264])
        np.testing.assert_array_equal(decode(data[132:], "f").pixels, decode(data, "f").pixels)


@pytest.mark.parametrize("data", [b"", b"DICM", b"\x08\x00", b"\x89PNG\r\n\x1a\n", b"II*\0\x08\0"])
def test_other_bytes_are_no_dicom(data: bytes) -> None:
    assert not is_dicom(data)


def test_nothing_that_names_the_patient_is_read(dicom_file: Build, deep: NDArray[Any]) -> None:
    found = read(dicom_file(deep), "film", KEYWORDS, 2**20)
    assert "Rows" in found
    assert not {"PatientName", "PatientID", "PatientBirthDate", "AccessionNumber"} & set(
        found.dir()
    )


def test_a_deflated_bomb_is_refused(dicom_file: Build, deep: NDArray[Any]) -> None:
    data = dicom_file(deep, DeflatedExplicitVRLittleEndian)
    read(data, "film", KEYWORDS, 2**20)
    squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = squeeze.compress(b"\x08\x00\x05\x00CS\x00\x00" * 500_000) + squeeze.flush()
    meta_length = 144 + int.from_bytes(data[140:144], "little")
    with pytest.raises(BadRadiographError, match="inflates to more than the limit of 1 MiB"):
        read(data[:meta_length] + bomb, "film", KEYWORDS, 2**20)


def test_a_file_of_very_many_elements_is_refused() -> None:
    many = b"".join(
        b"\x09\x00" + (index % 65536).to_bytes(2, "little") + b"LO\x00\x00"
        for index in range(MAX_ELEMENTS + 1)
    )
    with pytest.raises(BadRadiographError, match="more than 20000 DICOM elements"):
        read(bytes(128) + b"DICM" + many, "film", KEYWORDS, 2**20)


def test_sequences_nested_without_end_are_refused(dicom_file: Build, deep: NDArray[Any]) -> None:
    level = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    data = dicom_file(deep)
    start = 144 + int.from_bytes(data[140:144], "little")
    with pytest.raises(BadRadiographError, match="damaged, truncated or against the standard"):
        decode(data[:start] + level * 5000, "film")


def test_every_prefix_of_a_file_is_refused_or_read(dicom_file: Build, deep: NDArray[Any]) -> None:
    data = dicom_file(deep)
    for end in [*range(1, 900, 7), len(data) - 1]:
        with pytest.raises(BadRadiographError):
            decode(data[:end], "film")


def test_the_strictness_of_pydicom_is_given_back() -> None:
    before = pydicom.config.settings.reading_validation_mode
    with pytest.raises(BadRadiographError, match="ZeroDivisionError"), guarded("film"):
        raise ZeroDivisionError("Geheim")
    assert pydicom.config.settings.reading_validation_mode == before


def test_a_transfer_syntax_that_nobody_reads_is_named(
    dicom_file: Build, deep: NDArray[Any]
) -> None:
    data = dicom_file(deep, JPEG2000Lossless)
    for uid, says in [
        ("1.2.840.10008.1.2.4.94", r"not read \(JPIP"),
        ("1.2.3.4", r"not read \(an unknown one\)"),
    ]:
        other = data.replace(
            JPEG2000Lossless.encode().ljust(22, b"\0"), uid.encode().ljust(22, b"\0")
        )
        with pytest.raises(BadRadiographError, match=says):
            decode(other, "film")
