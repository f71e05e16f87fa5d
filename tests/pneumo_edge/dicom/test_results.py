"""Results that go back into the film's study, held against dicom3tools and pydicom."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, SecondaryCaptureImageStorage

from pneumo_edge.decode import decode
from pneumo_edge.dicom import study
from pneumo_edge.dicom.capture import annotated, capture
from pneumo_edge.dicom.report import report
from pneumo_edge.dicom.results import Results
from pneumo_edge.errors import BadRadiographError, PneumoEdgeError
from pneumo_edge.heatmap import MAP_SIDE, Explanation, HeatMap
from pneumo_edge.overlay import Look, draw
from pneumo_edge.types import Finding, Interval, MemberScore, Radiograph, Refusal, Timings

Build = Callable[..., bytes]
MEMBERS = (
    MemberScore("vgg16", 0.91, 2.3, 10.0),
    MemberScore("xception", 0.25, -1.1, 9.0),
)


def finding(path: Path | str, **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "file": str(path),
        "label": "pneumonia",
        "y": 0.8712345678,
        "threshold": 0.5,
        "operating_point": "paper",
        "members": MEMBERS,
        "ms": Timings(1, 1, 1, 3),
        "engine": "cpu",
        "bundle": "6217d46d09e1",
    }
    return Finding(**(values | changes))


def now() -> datetime:
    return datetime(2025, 5, 17, 9, 30, tzinfo=timezone.utc)


@pytest.fixture
def path(tmp_path: Path, dicom_file: Build, grey: NDArray[np.uint8]) -> Path:
    """A film whose own attributes are in order."""
    film = tmp_path / "film.dcm"
    film.write_bytes(dicom_file(grey))
    return film


def written(path: Path, kind: Any, found: Finding) -> list[Path]:
    outcome = Results(path.parent / "out", kind, decode).keep(found)
    assert outcome is found
    return sorted((path.parent / "out").iterdir())


def items(data: Dataset) -> dict[str, Dataset]:
    """The content items of a report, by the code of their name."""
    found = {}
    for item in data.ContentSequence:
        if "ConceptNameCodeSequence" in item:
            found[item.ConceptNameCodeSequence[0].CodeValue] = item
        if "ContentSequence" in item:
            found |= items(item)
    return found


@pytest.mark.parametrize(
    "found",
    [
        finding("film"),
        finding("film", label="normal", y=0.1),
        finding("film", y=None, interval=Interval(0.6, 0.9), members=MEMBERS[:1]),
        finding("film", y=0.6, band=Interval(0.3, 0.7), indeterminate=True),
    ],
    ids=["pneumonia", "normal", "early exit", "indeterminate"],
)
def test_dicom3tools_finds_no_error(found: Finding, path: Path, debian: Callable[..., Any]) -> None:
    files = written(path, "both", dataclasses.replace(found, file=str(path)))
    assert [file.name[:2] for file in files] == ["SC", "SR"]
    for file in files:
        checked = debian("dciodvfy", "-new", file)
        assert "Error" not in checked.stdout + checked.stderr
        assert checked.returncode == 0
        assert ("ComprehensiveSR" if file.name.startswith("SR") else "SCImage") in checked.stderr


def test_dicom3tools_would_find_an_error(path: Path, debian: Callable[..., Any]) -> None:
    (file,) = written(path, "report", finding(path))
    data = pydicom.dcmread(file)
    del data.CompletionFlag
    data.save_as(file)
    assert "Error" in debian("dciodvfy", "-new", file).stderr


def test_a_result_belongs_to_the_study_and_refers_to_the_film(path: Path) -> None:
    film = pydicom.dcmread(path)
    for file in written(path, "both", finding(path)):
        data = pydicom.dcmread(file)
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber"):
            assert data[keyword].value == film[keyword].value
        assert data.SeriesInstanceUID != film.SeriesInstanceUID
        assert data.SOPInstanceUID != film.SOPInstanceUID
        if data.SOPClassUID == ComprehensiveSRStorage:
            series = data.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
            assert series.SeriesInstanceUID == film.SeriesInstanceUID
            referred = series.ReferencedSOPSequence[0]
        else:
            assert data.SOPClassUID == SecondaryCaptureImageStorage
            referred = data.SourceImageSequence[0]
        assert referred.ReferencedSOPInstanceUID == film.SOPInstanceUID
        assert referred.ReferencedSOPClassUID == film.SOPClassUID


def test_a_report_says_what_the_finding_says(path: Path) -> None:
    data = report(study.read(path.read_bytes(), "film"), finding(path), now)
    said = items(data)
    numbers = {
        code: float(item.MeasuredValueSequence[0].NumericValue)
        for code, item in said.items()
        if item.ValueType == "NUM"
    }
    assert numbers == pytest.approx(
        {"y": 0.871235, "threshold": 0.5, "p-vgg16": 0.91, "p-xception": 0.25}
    )
    assert said["result"].ConceptCodeSequence[0].CodeMeaning == "Clinical finding present"
    assert (data.ContentDate, data.ContentTime) == ("20250517", "093000")
    assert "a physician decides" in said["121106"].TextValue
    normal = report(study.read(path.read_bytes(), "film"), finding(path, label="normal"), now)
    assert items(normal)["result"].ConceptCodeSequence[0].CodeMeaning == "Clinical finding absent"


def test_what_is_indeterminate_is_reported_as_that(path: Path) -> None:
    band = Interval(0.3, 0.9)
    image = study.read(path.read_bytes(), "film")
    said = items(report(image, finding(path, band=band, indeterminate=True), now))
    assert said["result"].ConceptCodeSequence[0].CodeMeaning == "Indeterminate"
    assert said["label"].ConceptCodeSequence[0].CodeMeaning == "Clinical finding present"
    assert said["band-low"].MeasuredValueSequence[0].NumericValue == pytest.approx(0.3)
    assert said["band-high"].MeasuredValueSequence[0].NumericValue == pytest.approx(0.9)
    sure = items(report(image, finding(path, band=band, indeterminate=False), now))
    assert sure["result"].ConceptCodeSequence[0].CodeMeaning == "Clinical finding present"
    assert "label" not in sure


def test_an_early_exit_reports_where_y_lies(path: Path) -> None:
    early = finding(path, y=None, interval=Interval(0.6, 0.9), members=MEMBERS[:1])
    said = items(report(study.read(path.read_bytes(), "film"), early, now))
    assert "y" not in said
    assert said["y-low"].MeasuredValueSequence[0].NumericValue == pytest.approx(0.6)
    assert said["y-high"].MeasuredValueSequence[0].NumericValue == pytest.approx(0.9)


@pytest.mark.parametrize("shape", [(180, 240), (80, 300), (2000, 1500)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_picture_shows_the_whole_film_below_its_banner(
    shape: tuple[int, int], kind: type[np.uint8 | np.uint16], path: Path
) -> None:
    top = np.iinfo(kind).max
    grey: Any = np.full(shape, top // 2, kind)
    film = Radiograph(grey, 8 if kind == np.uint8 else 16, "film")
    picture = annotated(film, finding(path))
    rows = round(shape[0] * 1024 / max(shape))
    assert picture.shape[1] == round(shape[1] * 1024 / max(shape))
    assert set(np.unique(picture[-rows:])) <= {127, 128}
    banner = picture[:-rows]
    assert banner[:, :8].max() == 0
    assert banner[:, -7:].max() == 0, "the text runs out of the picture"
    assert banner.max() == 255


def test_a_colour_picture_is_kept_as_it_is(path: Path) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (101, 77, 3)).astype(np.uint8)
    data = capture(study.read(path.read_bytes(), "film"), picture, "heat map", now)
    np.testing.assert_array_equal(data.pixel_array, picture)


def test_an_explained_finding_gets_its_heat_map_on_its_picture(
    path: Path, grey: NDArray[np.uint8], debian: Callable[..., Any]
) -> None:
    at = np.linspace(-1, 1, MAP_SIDE, dtype=np.float32)
    heat = HeatMap(np.outer(at, at) * 0.001, 0.0, 0.5, ("vgg16",))
    found = finding(path, explanation=Explanation(grey, heat))
    look = Look(opacity=0.9)
    Results(path.parent / "out", "picture", decode, look).keep(found)
    (file,) = (path.parent / "out").iterdir()
    data = pydicom.dcmread(file)
    assert (data.PhotometricInterpretation, data.SOPClassUID) == (
        "RGB",
        SecondaryCaptureImageStorage,
    )
    assert "heat map" in data.DerivationDescription
    larger: Any = cv2.resize(grey, (1024, 768), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(data.pixel_array, draw(Explanation(larger, heat), found, look))
    assert "Error" not in debian("dciodvfy", "-new", file).stderr


def test_no_file_name_tells_who_the_patient_is(path: Path) -> None:
    for file in written(path, "both", finding(path)):
        assert not {"Geheim", "4711", "1.2.3"} & set(file.stem.split("-"))
        assert len(file.stem.partition("-")[2]) > 20


@pytest.mark.parametrize("kind", ["report", "picture"])
def test_what_has_no_study_is_refused(kind: Any, film: Path, path: Path, tmp_path: Path) -> None:
    results = Results(tmp_path / "out", kind, decode)
    for file, says in ((film, "is no DICOM file"), ("-", "cannot be read twice")):
        refused = results.keep(finding(file))
        assert isinstance(refused, Refusal)
        assert says in refused.what
    assert not list((tmp_path / "out").iterdir())


def test_an_image_without_a_study_is_refused(dicom_file: Build, deep: NDArray[Any]) -> None:
    with pytest.raises(BadRadiographError, match="no valid StudyInstanceUID"):
        study.read(dicom_file(deep, StudyInstanceUID=None), "film")


def test_a_folder_that_cannot_be_made_is_one_line(path: Path) -> None:
    with pytest.raises(PneumoEdgeError, match="cannot write to"):
        Results(path / "below a file", "report", decode)


def test_the_command_line_writes_them(
    cli: Callable[..., Any], path: Path, shipped_bundle: Path
) -> None:
    out = path.parent / "results"
    ran = cli("infer", "--json", "--dicom-out", out, "--dicom-kind", "both", path)
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    said = items(pydicom.dcmread(next(out.glob("SR-*"))))
    assert float(said["y"].MeasuredValueSequence[0].NumericValue) == pytest.approx(
        found["y"], abs=1e-5
    )
    assert "eheim" not in ran.out + ran.err
    assert next(out.glob("SC-*")).stat().st_size < 2e6, "grey, for no heat map was asked for"


def test_the_command_line_puts_the_heat_map_into_the_study_too(
    cli: Callable[..., Any], path: Path, shipped_bundle: Path
) -> None:
    out, overlays = path.parent / "results", path.parent / "overlays"
    asked = ("--dicom-out", out, "--dicom-kind", "picture", "--overlay", overlays)
    ran = cli("infer", "--json", *asked, path)
    assert ran.code == 0, ran.err
    (overlay,) = overlays.iterdir()
    assert json.loads(ran.out)["overlay"] == str(overlay)
    assert overlay.name.startswith("film-")
    assert pydicom.dcmread(next(out.glob("SC-*"))).SamplesPerPixel == 3
    assert not {"eheim", "4711"} & {overlay.name, ran.out, ran.err}
    assert b"eheim" not in overlay.read_bytes()
