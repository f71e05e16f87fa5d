"""What a result has to say of the study that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib import metadata

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from pneumo_edge.dicom import file
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.limits import MAX_BYTES

MAKER = "pneumo-edge"
NOTICE = "A screening aid, not a medical device: a physician decides."

_COPIED = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate"),
    *("PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "StudyDescription"),
)
_REQUIRED_EVEN_IF_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""Type 2 of the Patient and General Study modules: PS3.3, C.7.1.1 and C.7.2.1."""
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def read(data: bytes, source: str) -> Dataset:
    """The patient, the study and the identity of an image, and nothing else of it.

    Raises:
        BadRadiographError: it has no study to belong to, or cannot be parsed.
    """
    found = file.read(data, source, [*_COPIED, *_UIDS], MAX_BYTES)
    with file.guarded(source):
        for keyword in _UIDS:
            if not UID(str(found.get(keyword, ""))).is_valid:
                raise BadRadiographError(
                    f"{source} has no valid {keyword}, so no result can be linked to it",
                    "leave out --dicom-out, or have the archive give the image its identity",
                )
    return found


def result(
    image: Dataset, sop_class: str, modality: str, series: str, now: Callable[[], datetime]
) -> Dataset:
    """A data set that belongs to an image's study, in a series of its own.

    Args:
        image: As `read` gave it; not modified.
        sop_class: UID of the kind of result.
        modality: Of the new series.
        series: Its description.
        now: The local time.

    Returns:
        With the modules Patient, General Study, General Series, General Equipment and SOP Common
        (PS3.3, C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1 and C.12.1).
    """
    time = now()
    found = Dataset()
    for keyword in _REQUIRED_EVEN_IF_EMPTY:
        setattr(found, keyword, None)
    for keyword in _COPIED:
        if keyword in image:
            found[keyword] = image[keyword]
    found.SOPClassUID, found.SOPInstanceUID = sop_class, generate_uid(prefix=None)
    found.SeriesInstanceUID = generate_uid(prefix=None)
    found.Modality, found.SeriesDescription = modality, series
    found.SeriesNumber, found.InstanceNumber = 1, 1
    found.Manufacturer = found.ManufacturerModelName = MAKER
    found.SoftwareVersions, found.DeviceSerialNumber = metadata.version(MAKER), "1"
    for prefix in ("InstanceCreation", "Series", "Content"):
        setattr(found, f"{prefix}Date", time.strftime("%Y%m%d"))
        setattr(found, f"{prefix}Time", time.strftime("%H%M%S"))
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return found


def reference(image: Dataset) -> Dataset:
    """The item that names an image: PS3.3, 10.8."""
    found = Dataset()
    found.ReferencedSOPClassUID = image.SOPClassUID
    found.ReferencedSOPInstanceUID = image.SOPInstanceUID
    return found


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """The item of a coded concept: PS3.3, 8."""
    found = Dataset()
    found.CodeValue, found.CodingSchemeDesignator, found.CodeMeaning = value, scheme, meaning
    return found
