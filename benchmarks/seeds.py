"""The real files that are damaged, in every format that is read."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from pneumo_edge.errors import DatasetError

FILMS = 8
"""Radiographs that are written again in each format."""

_SUFFIXES = (".png", ".tiff", ".bmp", ".webp", ".jpg")


def collect(folder: Path) -> dict[str, list[bytes]]:
    """Files by kind.

    Args:
        folder: The shared data: `kermany/test/...`, `dicom/` and `ood/`.

    Raises:
        DatasetError: it holds none of them.
    """
    films = sorted((folder / "kermany" / "test").glob("*/*.jpeg"))
    files = sorted((folder / "dicom").glob("*.dcm"))
    if not films or not files:
        raise DatasetError(
            f"{folder} holds no kermany/test and dicom folder",
            "name the folder with --data, or by the variable PNEUMO_EDGE_DATA",
        )
    chosen = films[:: max(len(films) // FILMS, 1)][:FILMS]
    others = sorted(path for path in (folder / "ood").rglob("*") if path.is_file())
    found = {
        "jpeg": [path.read_bytes() for path in chosen],
        "dicom": [path.read_bytes() for path in files],
        "others": [path.read_bytes() for path in others[:: max(len(others) // FILMS, 1)][:FILMS]],
    }
    for suffix in _SUFFIXES:
        found[suffix] = list(_encoded(chosen, suffix))
    chest = next(path for path in files if path.stem.startswith("chest"))
    found["dicom rewritten"] = list(_rewritten(chest))
    return {kind: seeds for kind, seeds in found.items() if seeds}


def _encoded(films: list[Path], suffix: str) -> Iterator[bytes]:
    for index, path in enumerate(films):
        pixels: NDArray[Any] | None = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        small = cv2.resize(pixels, (96, 96), interpolation=cv2.INTER_AREA)
        if index % 3 == 1:
            small = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
        elif index % 3 == 2 and suffix in {".png", ".tiff"}:
            small = small.astype(np.uint16) * 257
        yield cv2.imencode(suffix, small)[1].tobytes()


def _rewritten(path: Path) -> Iterator[bytes]:
    """A chest film at a quarter of its side, in the transfer syntaxes that pydicom writes."""
    full = pydicom.dcmread(path, force=True)
    full.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    small = np.ascontiguousarray(full.pixel_array[::4, ::4])
    for syntax in (
        *(ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
        *(RLELossless, JPEG2000Lossless),
    ):
        data = pydicom.dcmread(path, force=True)
        data.PixelData = (small.astype(">u2") if syntax == ExplicitVRBigEndian else small).tobytes()
        data.Rows, data.Columns = small.shape
        data.WindowCenter, data.WindowWidth = "512", "900"
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        if syntax in {RLELossless, JPEG2000Lossless}:
            data.compress(syntax, generate_instance_uid=False)
        data.file_meta.TransferSyntaxUID = syntax
        stream = io.BytesIO()
        pydicom.dcmwrite(stream, data, enforce_file_format=True)
        yield stream.getvalue()
