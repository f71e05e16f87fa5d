"""From the bytes of a DICOM file to a radiograph."""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, RLELossless

from pneumo_edge import native_stderr
from pneumo_edge.dicom import codestream, file, grey, scope
from pneumo_edge.dicom.image import EXPORT, KEYWORDS, Image, describe
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.image_header import MalformedHeaderError
from pneumo_edge.limits import MAX_BYTES, check_size
from pneumo_edge.types import Radiograph

_SQUARE = 0.01
"""Pixels that are no more than so much higher or wider are taken for square."""


def decode(data: bytes, source: str, force: bool = False) -> Radiograph:
    """Read a DICOM file through modality, values of interest and presentation.

    Pixels that are not square are made so by enlarging the coarser direction.

    Args:
        data: The whole file, in any transfer syntax that pydicom and its decoders know.
        source: What to call it in messages; nothing that names a patient is read.
        force: Also read what is no radiograph: the first of several frames, and colour as its luma.

    Returns:
        8 bits for 8 bits stored, else 16.

    Raises:
        BadRadiographError: it is damaged, no radiograph, or its size is out of range.
    """
    elements = file.read(data, source, KEYWORDS, MAX_BYTES)
    with file.guarded(source):
        scope.check(elements, source, force)
        image = describe(elements, source)
    if (
        image.photometric == "PALETTE COLOR"
    ):  # stored values are places in a palette, no grey levels
        raise BadRadiographError(f"{source} holds colour by a palette, which is not read", EXPORT)
    check_size(image.rows, image.cols, source)
    check_size(*_square_size(image), source)
    stored = _stored(elements, image, source)
    pixels = grey.render(stored, image)
    return Radiograph(_squared(pixels, image), 8 if pixels.dtype == np.uint8 else 16, source)


def _stored(elements: Dataset, image: Image, source: str) -> NDArray[np.integer]:
    """(rows, cols) of the first frame: unused bits removed, sign extended, nothing else applied."""
    syntax = UID(elements.file_meta.TransferSyntaxUID)
    with file.guarded(source):
        if image.high_bit >= image.bits_stored:  # left-aligned, as before the standard forbade it
            elements.BitsStored = image.high_bit + 1
        decoder = _decoder(syntax, source)
        if syntax.is_encapsulated:
            _check_frame(elements, image, source, syntax)
        with native_stderr.captured():
            pixels, _ = decoder.as_array(
                elements, index=0, raw=image.samples == 1, decoding_plugin=_plugin(syntax)
            )
    if image.samples > 1:
        return _luma(pixels, image, source)
    if pixels.shape != (image.rows, image.cols):
        what = f"{source} holds {pixels.shape} pixels, its header says {image.rows, image.cols}"
        raise BadRadiographError(what, file.AGAIN)
    if image.high_bit >= image.bits_stored:
        pixels = pixels >> (image.high_bit + 1 - image.bits_stored)
    return cast("NDArray[np.integer]", pixels)


def _decoder(syntax: UID, source: str) -> Decoder:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        name = syntax.name if syntax.is_transfer_syntax else "an unknown one"
        what = f"{source} is in a DICOM transfer syntax that is not read ({name})"
        raise BadRadiographError(what, EXPORT) from None
    if syntax.is_encapsulated and _plugin(syntax) not in decoder.available_plugins:
        what = f"{source} is compressed ({syntax.name}), and its decoder is not installed"
        raise BadRadiographError(what, "run: pip install 'pneumo-edge[dicom]'")
    return decoder


def _plugin(syntax: UID) -> str:
    """One decoder for each syntax, whatever else is installed: the answer must not depend on it."""
    if not syntax.is_encapsulated:
        return ""
    return "pydicom" if syntax == RLELossless else "pylibjpeg"


def _check_frame(elements: Dataset, image: Image, source: str, syntax: UID) -> None:
    """Before a codec allocates what the frame, and not the file, says."""
    frame = get_frame(elements.PixelData, 0, number_of_frames=image.frames)
    if syntax == RLELossless:
        # PackBits adds at most one byte in 128, and there is a header of 64.
        native = image.rows * image.cols * image.samples * image.bits_allocated // 8
        if len(frame) > native * 1.02 + 1024:
            what = f"{source} has a run-length encoded frame that is larger than its {native} bytes"
            raise BadRadiographError(what, file.AGAIN)
        return
    try:
        rows, cols = codestream.size(frame)
    except MalformedHeaderError as err:
        raise BadRadiographError(f"{source} is a damaged DICOM file: {err}", file.AGAIN) from None
    if (rows, cols) != (image.rows, image.cols):
        what = f"{source} holds a frame of {cols} x {rows} pixels, its header says"
        raise BadRadiographError(f"{what} {image.cols} x {image.rows}", file.AGAIN)


def _luma(pixels: NDArray[Any], image: Image, source: str) -> NDArray[np.integer]:
    """Colour that pydicom has made RGB, by ITU-R BT.601, as other colour images."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or image.signed:
        what = f"{source} holds colour that is not read ({image.photometric})"
        raise BadRadiographError(what, EXPORT)
    grey_levels = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    return cast("NDArray[np.integer]", grey_levels)


def _square_size(image: Image) -> tuple[int, int]:
    """Rows and columns once the pixels are square."""
    if abs(image.aspect - 1) <= _SQUARE:
        return image.rows, image.cols
    if image.aspect > 1:
        return round(image.rows * image.aspect), image.cols
    return image.rows, round(image.cols / image.aspect)


def _squared(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], image: Image
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    rows, cols = _square_size(image)
    if (rows, cols) == pixels.shape:
        return pixels
    grown = cv2.resize(pixels, (cols, rows), interpolation=cv2.INTER_LINEAR)
    return cast("NDArray[np.uint8] | NDArray[np.uint16]", grown)
