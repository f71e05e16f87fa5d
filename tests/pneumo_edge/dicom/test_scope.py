"""What is no single grey radiograph is called by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import MediaStorageDirectoryStorage

from pneumo_edge.decode import decode
from pneumo_edge.errors import BadRadiographError

Build = Callable[..., bytes]


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", None])
def test_projections_are_read(modality: str | None, dicom_file: Build, deep: NDArray[Any]) -> None:
    assert decode(dicom_file(deep, Modality=modality), "film").pixels.shape == deep.shape


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"Modality": "MG"}, "is a mammogram"),
        ({"Modality": "US"}, "is an ultrasound image"),
        ({"Modality": "KO"}, "a DICOM image of modality KO"),
        ({"Modality": None, "SOPClassUID": "1.2.3"}, "a DICOM image of modality unknown"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "raw values"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour image .PALETTE COLOR"),
    ],
)
def test_others_are_refused_unless_forced(
    attributes: dict[str, Any], says: str, dicom_file: Build, deep: NDArray[Any]
) -> None:
    with pytest.raises(BadRadiographError, match=says):
        decode(dicom_file(deep, **attributes), "film")


def test_frames_are_counted(dicom_file: Build, deep: NDArray[Any]) -> None:
    with pytest.raises(BadRadiographError, match="of 3 frames, not one"):
        decode(dicom_file(np.stack([deep] * 3)), "film")
    assert decode(dicom_file(deep[np.newaxis]), "film").pixels.shape == deep.shape


def test_colour_is_named(dicom_file: Build, deep: NDArray[Any]) -> None:
    colour = np.dstack([(deep >> 4).astype(np.uint8)] * 3)
    with pytest.raises(BadRadiographError, match=r"is a colour image \(RGB\)"):
        decode(dicom_file(colour), "film")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"Modality": "SR"}, "is a structured report and holds no pixels"),
        ({"Modality": "PR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, "Softcopy"),
        ({"Modality": "PR", "SOPClassUID": "1.2.3"}, "perhaps cut off, and holds no pixels"),
        ({"SOPClassUID": MediaStorageDirectoryStorage}, "is a DICOMDIR, the index of a disc"),
        ({"PixelDataProviderURL": "http://example.org"}, "a link to its pixels"),
        ({"FloatPixelData": b"\0\0\0\0"}, "floating-point"),
    ],
)
def test_what_holds_no_image_is_refused_even_by_force(
    attributes: dict[str, Any], says: str, force: bool, dicom_file: Build, deep: NDArray[Any]
) -> None:
    with pytest.raises(BadRadiographError, match=says):
        decode(dicom_file(deep, PixelData=None, **attributes), "film", force)
