"""A picture for an archive that shows no structured reports: a Secondary Capture of the same study."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from pneumo_edge.dicom.study import NOTICE, code, reference, result
from pneumo_edge.heatmap import Explanation
from pneumo_edge.overlay import Look, Picture, draw, verdict
from pneumo_edge.types import Finding, Radiograph

LONG_SIDE = 1024
"""Pixels; a picture to look at beside the film, not one to diagnose from."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def capture(
    image: Dataset,
    picture: NDArray[np.uint8],
    derivation: str,
    now: Callable[[], datetime],
) -> Dataset:
    """A picture as an image of the study.

    Args:
        image: The film's identity, as `study.read` gave it.
        picture: (rows, cols) grey or (rows, cols, 3) RGB.
        derivation: How it was made, in words.
        now: The local time.

    Returns:
        A whole data set with its file meta: PS3.3, A.8.1, with the film as its source.
    """
    found = result(image, SecondaryCaptureImageStorage, "OT", "pneumonia screening, picture", now)
    found.ConversionType = "WSD"
    found.ImageType = ["DERIVED", "SECONDARY"]
    found.DerivationDescription = derivation
    found.BurnedInAnnotation = "YES"
    found.PatientOrientation = found.Laterality = None
    source = reference(image)
    source.PurposeOfReferenceCodeSequence = [
        code("121322", "DCM", "Source image for image processing operation")
    ]
    found.SourceImageSequence = [source]
    colour = picture.ndim == 3
    found.SamplesPerPixel = 3 if colour else 1
    found.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        found.PlanarConfiguration = 0
    found.Rows, found.Columns = picture.shape[:2]
    found.BitsAllocated = found.BitsStored = 8
    found.HighBit, found.PixelRepresentation = 7, 0
    pixels = np.ascontiguousarray(picture).tobytes()
    found.PixelData = pixels + b"\0" * (len(pixels) % 2)
    found["PixelData"].VR = "OB"
    return found


def annotated(film: Radiograph, finding: Finding) -> NDArray[np.uint8]:
    """The film at no more than LONG_SIDE, under a banner that says what the ensemble says.

    Returns:
        (rows, cols) of 8 bits; nothing of the film is covered.
    """
    small = _resized(film.pixels)
    top = 2**film.bits_stored - 1
    grey = np.rint(small.astype(np.float32) * (255 / top)).astype(np.uint8)
    return np.vstack([_banner(finding, grey.shape[1]), grey])


def explained(explanation: Explanation, finding: Finding, look: Look) -> Picture:
    """The film at no more than LONG_SIDE with its heat map, between verdict and legend.

    Returns:
        (rows, cols, 3), RGB.
    """
    small = dataclasses.replace(explanation, film=_resized(explanation.film))
    return draw(small, finding, look)


def _resized(pixels: NDArray[Any]) -> NDArray[Any]:
    rows, cols = pixels.shape
    scale = LONG_SIDE / max(rows, cols)
    size = (max(round(cols * scale), 1), max(round(rows * scale), 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=how))


def _banner(finding: Finding, width: int) -> NDArray[np.uint8]:
    said = f"y = {finding.y:.3f}" if finding.y is not None else "y not computed (early exit)"
    lines = [
        verdict(finding),
        f"{said}, threshold {finding.threshold:.3f} ({finding.operating_point})",
        f"pneumo-edge, bundle {finding.bundle}",
        NOTICE,
    ]
    widest = max(cv2.getTextSize(line, _FONT, 1.0, 1)[0][0] for line in lines)
    scale = min(0.6, (width - 16) / widest)
    step = int(36 * scale) + 4
    banner = np.zeros((step * len(lines) + 10, width), np.uint8)
    for number, line in enumerate(lines, 1):
        cv2.putText(banner, line, (8, number * step), _FONT, scale, 255, 1, cv2.LINE_AA)
    return banner
