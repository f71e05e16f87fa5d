"""A finding as a structured report: DICOM PS3.16, TID 1500, in a Comprehensive SR document."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, generate_uid

from pneumo_edge.dicom.study import MAKER, NOTICE, code, reference, result
from pneumo_edge.types import Finding

SCHEME = "99PNEUMOEDGE"
"""Our own codes: no published one says what a fusion of four votes is, which is no probability."""

_PRESENT = ("373573001", "SCT", "Clinical finding present")
_ABSENT = ("373572006", "SCT", "Clinical finding absent")
_INDETERMINATE = ("82334004", "SCT", "Indeterminate")


def report(image: Dataset, finding: Finding, now: Callable[[], datetime]) -> Dataset:
    """What the ensemble says of one image, for a reader of structured reports.

    Args:
        image: As `study.read` gave it.
        finding: Of that image.
        now: The local time.

    Returns:
        A whole data set with its file meta: the verdict, y or the interval that it lies in, the
        threshold and the members' probabilities, by TID 1501, with the image as their source.
    """
    found = result(image, ComprehensiveSRStorage, "SR", "pneumonia screening, report", now)
    found.ReferencedPerformedProcedureStepSequence = []
    found.PerformedProcedureCodeSequence = []
    found.CompletionFlag, found.VerificationFlag = "COMPLETE", "UNVERIFIED"
    found.PreliminaryFlag = "PRELIMINARY"
    found.CurrentRequestedProcedureEvidenceSequence = [_evidence(image)]
    root = _container("126000", "Imaging Measurement Report", "1500")
    root.ContentSequence = [
        _code("HAS CONCEPT MOD", _dcm("121049", _LANGUAGE), ("en", "RFC5646", "English")),
        *_observer(found),
        _code(
            "HAS CONCEPT MOD",
            _dcm("121058", "Procedure reported"),
            ("399208008", "SCT", "Plain chest X-ray"),
        ),
        _library(image),
        _measurements(image, finding),
    ]
    found.update(root)
    return found


_LANGUAGE = "Language of Content Item and Descendants"


def _evidence(image: Dataset) -> Dataset:
    """PS3.3, C.17.2: every object that the document refers to."""
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedSOPSequence = [reference(image)]
    study.StudyInstanceUID = image.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study


def _observer(document: Dataset) -> list[Dataset]:
    """TID 1002 and 1004: a device, and no person, has looked."""
    context = "HAS OBS CONTEXT"
    return [
        _code(context, _dcm("121005", "Observer Type"), ("121007", "DCM", "Device")),
        _uid(context, _dcm("121012", "Device Observer UID"), generate_uid(prefix=None)),
        _text(context, _dcm("121013", "Device Observer Name"), MAKER),
        _text(context, _dcm("121014", "Device Observer Manufacturer"), MAKER),
        _text(context, _dcm("121015", "Device Observer Model Name"), document.SoftwareVersions),
    ]


def _library(image: Dataset) -> Dataset:
    """TID 1600."""
    library = _inside(_container("111028", "Image Library"))
    group = _inside(_container("126200", "Image Library Group"))
    group.ContentSequence = [_image(image)]
    library.ContentSequence = [group]
    return library


def _measurements(image: Dataset, finding: Finding) -> Dataset:
    """TID 1501, one group."""
    group = _inside(_container("125007", "Measurement Group", "1501"))
    state = _PRESENT if finding.label == "pneumonia" else _ABSENT
    leaning = []
    if finding.indeterminate:
        by_threshold = ("label", SCHEME, "Label by the threshold alone")
        state, leaning = _INDETERMINATE, [_code("CONTAINS", by_threshold, state)]
    modifier = "HAS CONCEPT MOD"
    group.ContentSequence = [
        _text("HAS OBS CONTEXT", _dcm("112039", "Tracking Identifier"), "pneumonia"),
        _uid(
            "HAS OBS CONTEXT",
            _dcm("112040", "Tracking Unique Identifier"),
            generate_uid(prefix=None),
        ),
        _code("CONTAINS", _dcm("121071", "Finding"), ("233604007", "SCT", "Pneumonia")),
        _code(modifier, ("363698007", "SCT", "Finding Site"), ("39607008", "SCT", "Lung")),
        _text(modifier, _dcm("111001", "Algorithm Name"), f"{MAKER}, engine {finding.engine}"),
        _text(modifier, _dcm("111003", "Algorithm Version"), f"bundle {finding.bundle}"),
        _image(image, ("260753009", "SCT", "Source")),
        _code("CONTAINS", ("result", SCHEME, "Screening result for pneumonia"), state),
        *leaning,
        *(_number(*row) for row in _numbers(finding)),
        _text("CONTAINS", _dcm("121106", "Comment"), NOTICE),
    ]
    measurements = _inside(_container("126010", "Imaging Measurements"))
    measurements.ContentSequence = [group]
    return measurements


def _numbers(finding: Finding) -> list[tuple[str, str, float]]:
    """Code, meaning and value."""
    rows = []
    if finding.y is not None:
        rows.append(("y", "Fused value of the ensemble, y", finding.y))
    if finding.interval is not None:
        rows.append(("y-low", "Lowest y that is left possible", finding.interval.low))
        rows.append(("y-high", "Highest y that is left possible", finding.interval.high))
    name = f"Threshold on y, operating point {finding.operating_point}"
    rows.append(("threshold", name, finding.threshold))
    if finding.band is not None:
        rows.append(("band-low", "Lowest y that is indeterminate", finding.band.low))
        rows.append(("band-high", "Highest y that is indeterminate", finding.band.high))
    for member in finding.members:
        meaning = f"Probability of pneumonia, member {member.name}"
        rows.append((f"p-{member.name}", meaning, member.probability))
    return rows


def _dcm(value: str, meaning: str) -> tuple[str, str, str]:
    return value, "DCM", meaning


def _item(relationship: str, kind: str, name: tuple[str, str, str]) -> Dataset:
    found = Dataset()
    found.RelationshipType, found.ValueType = relationship, kind
    found.ConceptNameCodeSequence = [code(*name)]
    return found


def _code(relationship: str, name: tuple[str, str, str], value: tuple[str, str, str]) -> Dataset:
    found = _item(relationship, "CODE", name)
    found.ConceptCodeSequence = [code(*value)]
    return found


def _text(relationship: str, name: tuple[str, str, str], value: str) -> Dataset:
    found = _item(relationship, "TEXT", name)
    found.TextValue = value
    return found


def _uid(relationship: str, name: tuple[str, str, str], value: str) -> Dataset:
    found = _item(relationship, "UIDREF", name)
    found.UID = value
    return found


def _number(value: str, meaning: str, number: float) -> Dataset:
    found = _item("CONTAINS", "NUM", (value, SCHEME, meaning))
    measured = Dataset()
    measured.NumericValue = f"{number:.6g}"
    measured.MeasurementUnitsCodeSequence = [code("1", "UCUM", "no units")]
    found.MeasuredValueSequence = [measured]
    return found


def _image(image: Dataset, name: tuple[str, str, str] | None = None) -> Dataset:
    found = Dataset()
    found.RelationshipType, found.ValueType = "CONTAINS", "IMAGE"
    if name is not None:
        found.ConceptNameCodeSequence = [code(*name)]
    found.ReferencedSOPSequence = [reference(image)]
    return found


def _container(value: str, meaning: str, template: str = "") -> Dataset:
    found = Dataset()
    found.ValueType, found.ContinuityOfContent = "CONTAINER", "SEPARATE"
    found.ConceptNameCodeSequence = [code(value, "DCM", meaning)]
    if template:
        source = Dataset()
        source.MappingResource, source.TemplateIdentifier = "DCMR", template
        found.ContentTemplateSequence = [source]
    return found


def _inside(container: Dataset) -> Dataset:
    container.RelationshipType = "CONTAINS"
    return container
