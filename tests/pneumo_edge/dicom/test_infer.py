"""DICOM through the command line, to a finding that says nothing of whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.decode import decode

Build = Callable[..., bytes]


@pytest.fixture
def study(tmp_path: Path, dicom_file: Build, grey: NDArray[np.uint8]) -> Path:
    """A folder of one film and one ultrasound image."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "1.dcm").write_bytes(dicom_file(grey))
    (tmp_path / "study" / "2").write_bytes(dicom_file(grey, Modality="US"))
    return tmp_path / "study"


def test_a_dicom_file_gets_the_finding_of_its_png(
    cli: Callable[..., Any], study: Path, film: Path, shipped_bundle: Path
) -> None:
    found = json.loads(cli("infer", "--json", study / "1.dcm").out)
    expected = json.loads(cli("infer", "--json", film).out)
    assert found["y"] == expected["y"]
    assert found["label"] == expected["label"]


@pytest.mark.parametrize("sandbox", ["--sandbox", "--no-sandbox"])
def test_a_folder_is_read_and_what_is_no_radiograph_is_named(
    cli: Callable[..., Any], study: Path, sandbox: str, shipped_bundle: Path
) -> None:
    ran = cli("infer", "--jsonl", sandbox, study)
    first, second = map(json.loads, ran.out.splitlines())
    assert ran.code == 1
    assert first["label"] in {"normal", "pneumonia"}
    assert f"{study / '2'} is an ultrasound image" in second["error"]["what"]
    assert "eheim" not in ran.out + ran.err
    assert cli("infer", "--jsonl", sandbox, "--force", study).code == 0


def test_a_real_film_gives_the_finding_of_dcmtks_picture(
    cli: Callable[..., Any],
    shared_data: Path,
    reference: Callable[..., NDArray[Any]],
    tmp_path: Path,
    shipped_bundle: Path,
) -> None:
    path = shared_data / "dicom" / "chest_mono1_10bit_no_file_meta.dcm"
    picture = tmp_path / "dcmtk.png"
    assert cv2.imwrite(str(picture), reference(path, "+Wi", "1"))
    assert decode(picture.read_bytes(), "").bits_stored == 16
    ours = json.loads(cli("infer", "--json", path).out)
    theirs = json.loads(cli("infer", "--json", picture).out)
    assert ours["y"] == pytest.approx(theirs["y"], abs=0.02)
