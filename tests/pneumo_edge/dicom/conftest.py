"""DICOM files that nobody was harmed for, and Debian's tools to hold ours against."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

if find_spec("pydicom") is None:  # the extra is not installed: then there is nothing to test
    collect_ignore_glob = ["test_*.py"]
else:
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import (
        ComputedRadiographyImageStorage,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        JPEG2000Lossless,
        RLELossless,
    )

Tool = Callable[..., subprocess.CompletedProcess[str]]
Build = Callable[..., bytes]
Reference = Callable[..., NDArray[Any]]

NAME = "Geheim^Gertrud"
"""Must turn up nowhere but where it was asked for."""


def built(
    pixels: NDArray[Any], syntax: str = "", meta: bool = True, bits: int = 0, **attributes: Any
) -> bytes:
    """A CR image of a patient; `attributes` add to its elements, None takes one away.

    Args:
        pixels: (rows, cols), (rows, cols, 3) or (frames, rows, cols); the dtype tells sign and size.
        syntax: A transfer syntax that pydicom can write; by default explicit, little endian.
        meta: With preamble and file meta group.
        bits: BitsStored, by default all.
        **attributes: By keyword.
    """
    syntax = syntax or ExplicitVRLittleEndian
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3.4"
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    data.Modality, data.PatientName, data.PatientID = "CR", NAME, "geheim-4711"
    data.PatientBirthDate, data.PatientSex = "19580229", "F"
    data.StudyDate, data.StudyTime, data.AccessionNumber = "20240229", "101500", "A-4711"
    data.ReferringPhysicianName, data.StudyID = "Arzt^Anton", "1"
    colour = pixels.shape[-1] == 3
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.Rows, data.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    data.BitsAllocated = pixels.dtype.itemsize * 8
    data.BitsStored = bits or data.BitsAllocated
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    data["PixelData"].VR = "OB" if data.BitsAllocated == 8 else "OW"
    for keyword, value in attributes.items():
        if value is None:
            del data[keyword]
        else:
            setattr(data, keyword, value)
    return encoded(data, syntax, meta)


def encoded(data: Dataset, syntax: str, meta: bool = True) -> bytes:
    """A data set of native, little-endian pixels as a file."""
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax in {RLELossless, JPEG2000Lossless}:
        data.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian and data.BitsAllocated == 16:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    stream = io.BytesIO()
    if meta:
        pydicom.dcmwrite(stream, data, enforce_file_format=True)
        return stream.getvalue()
    implicit = syntax == pydicom.uid.ImplicitVRLittleEndian
    little = syntax != ExplicitVRBigEndian
    del data.file_meta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(stream, data, implicit_vr=implicit, little_endian=little)
    return stream.getvalue()


@pytest.fixture
def dicom_file() -> Build:
    """`built`."""
    return built


@pytest.fixture
def deep() -> NDArray[np.uint16]:
    """(120, 100), 12 bits: every value that a film may have, and some noise."""
    ramp = np.linspace(0, 4095, 120 * 100).reshape(120, 100)
    noise = np.random.default_rng(5).normal(0, 20, ramp.shape)
    return (ramp + noise).clip(0, 4095).astype(np.uint16)


@pytest.fixture(scope="session")
def debian(root: Path) -> Tool:
    """Call a tool of dcmtk or dicom3tools; skips where they are not to be had."""
    unpacked = root / ".tools" / "dicom" / "usr"
    reason = ""
    if not all(shutil.which(tool) for tool in ("dcmj2pnm", "dciodvfy")):
        done = subprocess.run(
            root / ".ci" / "dicom-tools", capture_output=True, text=True, check=False
        )
        reason = f"; .ci/dicom-tools says: {done.stderr.strip()}" if done.returncode else ""
    libraries = ":".join(str(path) for path in (unpacked / "lib").glob("*"))
    own = {
        "LD_LIBRARY_PATH": libraries,
        "DCMDICTPATH": ":".join(str(path) for path in unpacked.glob("share/libdcmtk*/dicom.dic")),
    }

    def call(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        path = shutil.which(tool)
        environment = dict(os.environ)
        if path is None and (unpacked / "bin" / tool).exists():
            path, environment = str(unpacked / "bin" / tool), environment | own
        if path is None:
            pytest.skip(f"{tool} is not here{reason}")
        command = [path, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    return call


@pytest.fixture
def reference(debian: Tool, tmp_path: Path) -> Reference:
    """What dcmtk makes of a file: (rows, cols), 0 to 255 in uint8 or 0 to 65535 in uint16."""

    def render(path: Path, *options: str, tool: str = "dcmj2pnm", deep: bool = True) -> Any:
        target = tmp_path / "reference.png"
        depth = "+on2" if deep else "+on"
        done = debian(tool, *options, depth, "-il", "-mf", path, target)
        assert done.returncode == 0, done.stderr
        pixels = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        return pixels

    return render
