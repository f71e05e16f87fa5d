"""Which DICOM files are radiographs, and what to call those that are not."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import UID, MediaStorageDirectoryStorage

from pneumo_edge.dicom.image import defined_term, frames
from pneumo_edge.errors import BadRadiographError

PROJECTIONS = {
    "CR": "computed radiography",
    "DX": "digital radiography",
    "RG": "a radiograph that was scanned from film",
}
"""Modalities (0008,0060) that take chest radiographs: PS3.3, C.7.3.1.1.1."""

_NAMES = {
    "CT": "a CT image",
    "MR": "an MR image",
    "US": "an ultrasound image",
    "MG": "a mammogram",
    "PT": "a PET image",
    "NM": "a nuclear medicine image",
    "XA": "an angiogram",
    "RF": "a fluoroscopy image",
    "PX": "a panoramic dental radiograph",
    "IO": "an intra-oral dental radiograph",
    "BMD": "a bone density image",
    "ES": "an endoscopy image",
    "XC": "a photograph",
    "OP": "an ophthalmic photograph",
    "SM": "a slide microscopy image",
    "GM": "a microscopy image",
    "SEG": "a segmentation",
    "OT": "an image of no stated modality",
    "SC": "a secondary capture",
    "HC": "a hard copy",
    "DOC": "a document",
    "SR": "a structured report",
    "RTIMAGE": "a radiotherapy portal image",
    "RTDOSE": "a radiotherapy dose",
}

_BY_CLASS = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.1.1": "DX",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "DX",
}
"""SOP classes that tell the modality of a file that does not name it."""

_REMEDY = "name a chest radiograph (CR, DX or RG), or pass --force to have it read all the same"
_NO_FORCE = "name a chest radiograph (CR, DX or RG)"


def check(data: Dataset, source: str, force: bool) -> None:
    """Refuse what is no single grey radiograph; call it within `file.guarded`.

    Args:
        data: As `file.read` gave it.
        source: What to call it in messages.
        force: Only what cannot be read at all is refused: what holds no image.

    Raises:
        BadRadiographError: it is something else; the message says what.
    """
    _check_holds_image(data, source)
    if force:
        return
    modality = defined_term(data.get("Modality")) or _BY_CLASS.get(str(data.get("SOPClassUID")), "")
    if modality not in PROJECTIONS:
        what = _NAMES.get(modality) or f"a DICOM image of modality {modality or 'unknown'}"
        raise BadRadiographError(f"{source} is {what}, not a plain radiograph", _REMEDY)
    if frames(data) > 1:
        what = f"{source} is a DICOM file of {frames(data)} frames, not one"
        raise BadRadiographError(what, "export one frame, or pass --force to read the first")
    photometric = defined_term(data.get("PhotometricInterpretation"))
    if photometric not in {"", "MONOCHROME1", "MONOCHROME2"}:
        what = f"{source} is a colour image ({photometric}), not a radiograph"
        raise BadRadiographError(what, _REMEDY)
    if defined_term(data.get("PresentationIntentType")) == "FOR PROCESSING":
        raise BadRadiographError(
            f"{source} holds a detector's raw values (FOR PROCESSING), which are no grey levels",
            "send the image FOR PRESENTATION, or pass --force to read it all the same",
        )


def _check_holds_image(data: Dataset, source: str) -> None:
    if "PixelData" in data:
        return
    kind = UID(str(data.get("SOPClassUID", "")))
    if kind == MediaStorageDirectoryStorage:
        what = f"{source} is a DICOMDIR, the index of a disc"
        raise BadRadiographError(what, "name its file DICOMDIR, or name the folder that it is in")
    if "FloatPixelData" in data or "DoubleFloatPixelData" in data:
        raise BadRadiographError(f"{source} holds floating-point values, not an image", _NO_FORCE)
    if "PixelDataProviderURL" in data:
        what = f"{source} holds a link to its pixels, not an image"
        raise BadRadiographError(what, "fetch the image itself, in a transfer syntax without JPIP")
    modality = defined_term(data.get("Modality"))
    name = _NAMES.get(modality) or _class_name(kind)
    raise BadRadiographError(f"{source} is {name} and holds no pixels", _NO_FORCE)


def _class_name(kind: UID) -> str:
    """Of the standard's table; a UID that is not in it could be anything."""
    if kind.is_valid and kind.name != str(kind):
        return f"a DICOM file ({kind.name})"
    return "a DICOM file, perhaps cut off,"
