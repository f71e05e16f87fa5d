"""What a DICOM file says of its image, checked and typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pneumo_edge.errors import BadRadiographError

KEYWORDS = (
    *("SOPClassUID", "Modality", "PresentationIntentType", "NumberOfFrames", "SamplesPerPixel"),
    *("PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
    *("PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "PresentationLUTShape"),
    *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio"),
    *("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "LossyImageCompression"),
)
"""All that reading an image needs. None of them says whose it is."""

EXPORT = "export it as a grey PNG (16 bits keep the full depth)"


@dataclass(frozen=True, slots=True)
class Window:
    """A linear or sigmoid window, in the units of the modality transformation's output."""

    centre: float
    width: float
    """Above 0; at least 1 where the function is LINEAR."""

    function: str
    """LINEAR, LINEAR_EXACT or SIGMOID."""


@dataclass(frozen=True, slots=True, eq=False)
class Lut:
    """A look-up table of the Modality LUT or the VOI LUT module."""

    first: int
    """The input value that the first entry is for; what is below takes it too."""

    entries: NDArray[np.uint16]
    """(n,); inputs above the last take the last."""

    bits: int
    """Significant bits of an entry, 8 to 16."""


@dataclass(frozen=True, slots=True)
class Image:
    """The attributes that turn stored values into grey levels."""

    rows: int
    cols: int
    samples: int
    """1 grey, 3 colour."""

    photometric: str
    frames: int
    bits_allocated: int
    bits_stored: int
    """8 to 16."""

    high_bit: int
    signed: bool
    padding: tuple[int, int] | None
    """Lowest and highest stored value that stands for no pixel (PS3.3, C.7.5.1.1.2)."""

    slope: float
    intercept: float
    modality: Lut | None
    voi: Lut | None
    window: Window | None
    """The first, where there are several alternatives."""

    inverse: bool
    """The lowest value is white: MONOCHROME1, or Presentation LUT Shape INVERSE."""

    aspect: float
    """Height over width of a pixel."""


def describe(data: Dataset, source: str) -> Image:
    """Take the attributes out of a data set.

    Call it within `file.guarded`: a value of the wrong type raises as pydicom pleases.

    Raises:
        BadRadiographError: a value is out of its range, with its tag.
    """
    stored = _within(data, source, "BitsStored", 8, 16)
    signed = _within(data, source, "PixelRepresentation", 0, 1, 0) == 1
    photometric = defined_term(data.get("PhotometricInterpretation")) or "MONOCHROME2"
    shape = defined_term(data.get("PresentationLUTShape"))
    return Image(
        rows=_within(data, source, "Rows", 1, 65535),
        cols=_within(data, source, "Columns", 1, 65535),
        samples=_within(data, source, "SamplesPerPixel", 1, 4, 1),
        photometric=photometric,
        frames=frames(data),
        bits_allocated=_within(data, source, "BitsAllocated", 8, 16),
        bits_stored=stored,
        high_bit=_within(data, source, "HighBit", stored - 1, 15, stored - 1),
        signed=signed,
        padding=_padding(data, signed),
        slope=_number(data, source, "RescaleSlope", 1.0),
        intercept=_number(data, source, "RescaleIntercept", 0.0),
        modality=_lut(data, source, "ModalityLUTSequence"),
        voi=_lut(data, source, "VOILUTSequence"),
        window=_window(data, source),
        inverse=photometric == "MONOCHROME1" or shape == "INVERSE",
        aspect=_aspect(data, source),
    )


def frames(data: Dataset) -> int:
    """(0028,0008), 1 where there is none; at least 1, as some writers mean by 0."""
    return max(int(first(data, "NumberOfFrames") or 1), 1)


def first(data: Dataset, keyword: str) -> Any:
    """The first of a value's alternatives, None where it is absent or empty."""
    value = data.get(keyword)
    if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
        return value
    return value[0] if len(value) else None


def defined_term(value: object) -> str:
    """A value that is a code string, else nothing: what stands there may be anything."""
    text = str(value or "")
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else ""


def _within(
    data: Dataset, source: str, keyword: str, low: int, high: int, default: int | None = None
) -> int:
    found = first(data, keyword)
    value = default if found is None else int(found)
    if value is None or not low <= value <= high:
        what = f"{source} is a DICOM file whose {keyword} is {value}, not in {low} to {high}"
        raise BadRadiographError(what, EXPORT)
    return value


def _number(data: Dataset, source: str, keyword: str, default: float) -> float:
    found = first(data, keyword)
    value = default if found in {None, ""} else float(found)
    if not abs(value) < 1e12:  # not a number is neither
        what = f"{source} is a DICOM file whose {keyword} is {value:g}"
        raise BadRadiographError(what, EXPORT)
    return value


def _padding(data: Dataset, signed: bool) -> tuple[int, int] | None:
    value = first(data, "PixelPaddingValue")
    if value is None:
        return None
    limit = first(data, "PixelPaddingRangeLimit")
    ends = [int(end) for end in (value, value if limit is None else limit)]
    if signed:  # some writers give it the wrong one of its two value representations
        ends = [end - 65536 if end > 32767 else end for end in ends]
    return min(ends), max(ends)


def _window(data: Dataset, source: str) -> Window | None:
    """PS3.3, C.11.2.1.2 and C.11.2.1.3."""
    if first(data, "WindowCenter") in {None, ""} or first(data, "WindowWidth") in {None, ""}:
        return None
    function = defined_term(data.get("VOILUTFunction")) or "LINEAR"
    if function not in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}:
        what = f"{source} is a DICOM file whose VOILUTFunction is {function}"
        raise BadRadiographError(what, EXPORT)
    width = _number(data, source, "WindowWidth", 0.0)
    if width <= 0 or (function == "LINEAR" and width < 1):
        least = "below 1" if function == "LINEAR" else "not above 0"
        what = f"{source} is a DICOM file whose WindowWidth is {width:g}, {least}"
        raise BadRadiographError(what, EXPORT)
    return Window(_number(data, source, "WindowCenter", 0.0), width, function)


def _lut(data: Dataset, source: str, keyword: str) -> Lut | None:
    """The first table of a sequence: PS3.3, C.11.1.1 and C.11.2.1.1."""
    sequence = data.get(keyword)
    if not sequence:
        return None
    count, start, bits = (int(value) for value in sequence[0].LUTDescriptor)
    count = count or 65536
    entries = _entries(sequence[0].LUTData, count, sequence[0].original_encoding[1] is not False)
    if not 0 < count <= len(entries) or not 8 <= bits <= 16:
        what = f"{source} is a DICOM file whose {keyword} has {len(entries)} entries for"
        raise BadRadiographError(f"{what} a descriptor of {count} of {bits} bits", EXPORT)
    return Lut(start, entries[:count] & np.uint16(2**bits - 1), bits)


def _entries(values: Any, count: int, little: bool) -> NDArray[np.uint16]:
    """From whatever the value representation made of them: OW bytes, or US or SS numbers."""
    if not isinstance(values, bytes):
        numbers = values if hasattr(values, "__len__") else [values]
        return (np.array(numbers, np.int64) & 0xFFFF).astype(np.uint16)
    if len(values) < 2 * count:  # entries of 8 bits, two of them in a word
        packed = np.frombuffer(values, np.uint8)
        pairs = packed[: len(packed) // 2 * 2].reshape(-1, 2)
        return (packed if little else pairs[:, ::-1].ravel()).astype(np.uint16)
    return np.frombuffer(values, "<u2" if little else ">u2", count).astype(np.uint16)


def _aspect(data: Dataset, source: str) -> float:
    """Row spacing over column spacing: PS3.3, 10.7.1.3 and C.7.6.3.1.7."""
    for keyword in (
        *("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
        "PixelAspectRatio",
    ):
        value = data.get(keyword)
        if value is None or isinstance(value, str | bytes) or not hasattr(value, "__len__"):
            continue  # a single number, as one writer's "1", says nothing of an aspect
        pair = [float(part) for part in value if part not in {None, ""}]
        if len(pair) == 2 and min(pair) > 0:
            aspect = pair[0] / pair[1]
            if not 0.25 <= aspect <= 4:
                what = f"{source} is a DICOM file whose {keyword} makes pixels {aspect:.3g} times"
                raise BadRadiographError(f"{what} as high as wide", EXPORT)
            return aspect
    return 1.0
