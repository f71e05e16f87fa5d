"""A disc: its index, its folder, and an index that would lead elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import MediaStorageDirectoryStorage

from pneumo_edge import dicom
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.sources import expand, is_single

Build = Callable[..., bytes]


def index(folder: Path, build: Build, pixels: NDArray[Any], *records: Dataset) -> Path:
    data = build(
        pixels,
        PixelData=None,
        SOPClassUID=MediaStorageDirectoryStorage,
        DirectoryRecordSequence=list(records),
    )
    (folder / "DICOMDIR").write_bytes(data)
    return folder / "DICOMDIR"


def record(*parts: str) -> Dataset:
    found = Dataset()
    found.DirectoryRecordType = "IMAGE"
    with pydicom.config.disable_value_validation():
        found.ReferencedFileID = list(parts)
    return found


@pytest.fixture
def disc(tmp_path: Path, dicom_file: Build, deep: NDArray[Any]) -> Path:
    """Two films and their DICOMDIR, which names the patient in a record of its own."""
    patient = Dataset()
    patient.DirectoryRecordType, patient.PatientName = "PATIENT", "Geheim^Gertrud"
    (tmp_path / "disc" / "DICOM").mkdir(parents=True)
    for name in ("IM0001", "IM0002"):
        (tmp_path / "disc" / "DICOM" / name).write_bytes(dicom_file(deep))
    records = [patient, record("DICOM", "IM0001"), record("DICOM", "IM0002")]
    index(tmp_path / "disc", dicom_file, deep, *records)
    return tmp_path / "disc"


def names(*arguments: Path) -> list[Path]:
    return [Path(source.name) for source in expand(str(argument) for argument in arguments)]


def test_an_index_stands_for_the_images_that_it_names(disc: Path) -> None:
    found = names(disc / "DICOMDIR")
    assert len(found) == 2
    assert all(path.is_file() and path.is_relative_to(disc) for path in found)
    assert not is_single([str(disc / "DICOMDIR")])


def test_a_disc_that_is_shown_in_lower_case_is_read(disc: Path) -> None:
    (disc / "DICOMDIR").rename(disc / "dicomdir")
    for path in sorted(disc.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.lower()))
    assert all(path.is_file() for path in names(disc / "dicomdir"))


def test_the_folder_of_a_disc_holds_the_same_images(disc: Path) -> None:
    assert sorted(names(disc)) == sorted(names(disc / "DICOMDIR"))


def test_files_without_a_suffix_are_images_where_they_start_as_dicom_does(
    tmp_path: Path, dicom_file: Build, deep: NDArray[Any]
) -> None:
    for name in ("IM0001", "1.2.840.113619.2", "film.DCM"):
        (tmp_path / name).write_bytes(dicom_file(deep))
    for name in ("README", "notes.txt", "log.1"):
        (tmp_path / name).write_bytes(b"dear doctor" * 50)
    assert [path.name for path in names(tmp_path)] == ["1.2.840.113619.2", "IM0001", "film.DCM"]


@pytest.mark.parametrize("parts", [["..", "..", "etc", "passwd"], ["a/b"], [".."], ["A"] * 9])
def test_an_index_does_not_lead_out_of_its_disc(
    tmp_path: Path, dicom_file: Build, deep: NDArray[Any], parts: list[str]
) -> None:
    path = index(tmp_path, dicom_file, deep, record(*parts))
    (source,) = expand([str(path)])
    with pytest.raises(BadRadiographError, match="outside of the standard's rules"):
        source.read()


def test_an_index_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"dear doctor" * 50)
    (source,) = expand([str(tmp_path / "DICOMDIR")])
    with pytest.raises(BadRadiographError, match="names no image"):
        source.read()


def test_an_index_without_images_says_so(
    tmp_path: Path, dicom_file: Build, deep: NDArray[Any]
) -> None:
    (source,) = expand([str(index(tmp_path, dicom_file, deep, Dataset()))])
    with pytest.raises(BadRadiographError, match="names no image"):
        source.read()


def test_without_the_extra_an_index_says_which_extra_reads_it(
    disc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("pneumo_edge.dicom.")]:
        monkeypatch.delitem(sys.modules, module)
        monkeypatch.delattr(dicom, module.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (source,) = expand([str(disc / "DICOMDIR")])
    with pytest.raises(BadRadiographError, match=r"'pneumo-edge\[dicom\]'"):
        source.read()
