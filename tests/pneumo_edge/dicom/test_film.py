"""DICOM files against independent readers, in every transfer syntax."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from pneumo_edge.decode import decode
from pneumo_edge.errors import BadRadiographError

Build = Callable[..., bytes]
Reference = Callable[..., NDArray[Any]]

REAL = {
    "chest_mono1_10bit_no_file_meta": (["+Wi", "1"], "dcmj2pnm"),
    "rsna_chest_mono2_jpeg": ([], "dcmj2pnm"),
    "ct_DeflatedExplicitVRLittleEndian": (["+Wi", "1"], "dcmj2pnm"),
    "ct_JPEGLSLossless": (["+Wi", "1"], "dcml2pnm"),
    "ct_JPEGProcess14SV1": (["+Wi", "1"], "dcmj2pnm"),
    "ct_LittleEndianImplicit": (["+Wi", "1"], "dcmj2pnm"),
    "ct_RLELossless": (["+Wi", "1"], "dcmj2pnm"),
    "pydicom_CT_small": ([], "dcmj2pnm"),
    "pydicom_mlut_18": ([], "dcmj2pnm"),
}
"""How dcmtk is told to read each real file as the standard has it."""

REFUSED = {
    "ct_": "is a CT image, not a plain radiograph",
    "pydicom_CT_small": "is a CT image, not a plain radiograph",
    "pydicom_MR_truncated": "is an MR image, not a plain radiograph",
    "pydicom_mlut_18": "is an image of no stated modality, not a plain radiograph",
    "pydicom_rtplan": r"is a DICOM file \(RT Plan Storage\) and holds no pixels",
}


def lut(first: int, entries: NDArray[np.uint16], bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return [item]


CURVE = np.sqrt(np.linspace(0, 1, 4096))
VARIANTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "plain": ({}, []),
    "mono1": ({"PhotometricInterpretation": "MONOCHROME1"}, []),
    "window": ({"WindowCenter": 1800, "WindowWidth": 2500}, ["+Wi", "1"]),
    "several windows": (
        {"WindowCenter": [1500, 2000], "WindowWidth": [900, 4000]},
        ["+Wi", "1"],
    ),
    "width of 1": ({"WindowCenter": 2000, "WindowWidth": 1}, ["+Wi", "1"]),
    "sigmoid": (
        {"WindowCenter": 2000, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"},
        ["+Wi", "1"],
    ),
    "rescaled": (
        {"RescaleSlope": 2.5, "RescaleIntercept": -1000, "WindowCenter": 3000, "WindowWidth": 5000},
        ["+Wi", "1"],
    ),
    "rescaled by a negative slope": (
        {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 900, "WindowWidth": 700},
        ["+Wi", "1"],
    ),
    "mono1 with its window and inverse shape": (
        {
            "PhotometricInterpretation": "MONOCHROME1",
            "PresentationLUTShape": "INVERSE",
            "WindowCenter": 1800,
            "WindowWidth": 2500,
        },
        ["+Wi", "1"],
    ),
    "voi table": ({"VOILUTSequence": lut(0, (CURVE * 1023).astype(np.uint16), 10)}, ["+Wl", "1"]),
    "voi table that starts late": (
        {"VOILUTSequence": lut(1000, (CURVE[::2] * 65535).astype(np.uint16), 16)},
        ["+Wl", "1"],
    ),
    "modality table": (
        {
            "ModalityLUTSequence": lut(0, (CURVE * 4095).astype(np.uint16), 12),
            "WindowCenter": 2500,
            "WindowWidth": 3000,
        },
        ["+Wi", "1"],
    ),
}
COARSE = {"plain": 16, "mono1": 16, "voi table": 64, "rescaled": 14, "sigmoid": 2}
"""Where dcmtk is no more precise: it shifts 12 or 10 bits up to 16, and rounds to whole modality values."""


def levels(data: bytes, force: bool = False) -> NDArray[np.int64]:
    return decode(data, "film", force).pixels.astype(np.int64)


@pytest.mark.parametrize("name", REAL)
def test_a_real_file_is_read_as_dcmtk_reads_it(
    name: str, shared_data: Path, reference: Reference
) -> None:
    options, tool = REAL[name]
    path = shared_data / "dicom" / f"{name}.dcm"
    film = decode(path.read_bytes(), name, force=True)
    expected = reference(path, *options, tool=tool, deep=film.bits_stored > 8)
    assert film.pixels.shape == expected.shape
    worst = np.abs(film.pixels.astype(int) - expected).max()
    # One step of 65535 for rounding; of 255, for another inverse cosine transform in the JPEG.
    assert worst <= 1, f"off by {worst} of {2**film.bits_stored - 1}"


def test_the_transfer_syntaxes_of_one_slice_agree_to_the_bit(shared_data: Path) -> None:
    films = {p.stem: levels(p.read_bytes(), True) for p in (shared_data / "dicom").glob("ct_*")}
    assert len(films) == 6
    for name, film in films.items():
        np.testing.assert_array_equal(film, films["ct_LittleEndianImplicit"], err_msg=name)


def test_every_real_file_is_read_or_refused_by_name(shared_data: Path) -> None:
    read = []
    for path in sorted((shared_data / "dicom").iterdir()):
        says = next((says for start, says in REFUSED.items() if path.stem.startswith(start)), None)
        if says is None:
            decode(path.read_bytes(), path.name)
            read.append(path.stem)
        else:
            with pytest.raises(BadRadiographError, match=says):
                decode(path.read_bytes(), path.name)
    assert read == ["chest_mono1_10bit_no_file_meta", "rsna_chest_mono2_jpeg"]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_a_variant_is_read_as_dcmtk_reads_it(
    name: str,
    signed: bool,
    dicom_file: Build,
    deep: NDArray[np.uint16],
    reference: Reference,
    tmp_path: Path,
) -> None:
    attributes, options = VARIANTS[name]
    pixels = deep.astype(np.int32)
    if signed:  # stored 2048 lower, which the intercept makes good
        pixels -= 2048
        slope, intercept = attributes.get("RescaleSlope", 1), attributes.get("RescaleIntercept", 0)
        if "ModalityLUTSequence" not in attributes:
            attributes = {"RescaleSlope": slope} | attributes
            attributes["RescaleIntercept"] = intercept + slope * 2048
    data = dicom_file(pixels.astype("<i2" if signed else "<u2"), bits=12, **attributes)
    path = tmp_path / "film.dcm"
    path.write_bytes(data)
    worst = np.abs(levels(data) - reference(path, *options)).max()
    assert worst <= COARSE.get(name, 1), f"off by {worst} of 65535"


@pytest.mark.parametrize("bits", range(8, 17))
@pytest.mark.parametrize("kind", ["u", "i"])
def test_every_depth_fills_the_range(bits: int, kind: str, dicom_file: Build) -> None:
    low, high = (0, 2**bits - 1) if kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    pixels = np.linspace(low, high, 100 * 90).round().astype(f"<{kind}2").reshape(100, 90)
    top = 255 if bits == 8 else 65535
    expected = np.rint((pixels.astype(float) - low) / (high - low) * top)
    np.testing.assert_array_equal(levels(dicom_file(pixels, bits=bits)), expected)


@pytest.mark.parametrize("meta", [True, False], ids=["with file meta", "without"])
@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("kind", ["<u2", "<i2", "u1"])
def test_every_encoding_holds_the_same_film(
    syntax: str, meta: bool, kind: str, dicom_file: Build, deep: NDArray[np.uint16]
) -> None:
    pixels = (deep >> 4 if kind == "u1" else deep).astype(kind)
    expected = levels(dicom_file(pixels))
    np.testing.assert_array_equal(levels(dicom_file(pixels, syntax, meta)), expected)


@pytest.mark.parametrize("syntax", [DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("kind", ["<u2", "<i2", "u1"])
def test_a_lossless_compression_holds_the_same_film(
    syntax: str, kind: str, dicom_file: Build, deep: NDArray[np.uint16]
) -> None:
    pixels = (deep >> 4 if kind == "u1" else deep).astype(kind)
    if kind == "<i2":
        pixels = (pixels - 2048).astype(kind)
    bits = 8 if kind == "u1" else 12
    expected = levels(dicom_file(pixels, bits=bits))
    np.testing.assert_array_equal(levels(dicom_file(pixels, syntax, bits=bits)), expected)


@pytest.mark.parametrize(
    ("tool", "option", "worst"),
    [
        ("dcmcjpeg", "+e1", 0),  # lossless, first-order prediction
        ("dcmcjpeg", "+el", 0),  # lossless, any predictor
        ("dcmcjpeg", "+eb", 1),  # baseline: two inverse cosine transforms differ by a step
        ("dcmcjpeg", "+ee", 1),  # extended
        ("dcmcjpls", "+el", 0),  # JPEG-LS
        ("dcmcjpls", "+en", 0),  # JPEG-LS, near-lossless
    ],
)
@pytest.mark.parametrize("bits", [8, 12])
def test_a_compressor_of_dcmtk_is_undone(
    tool: str,
    option: str,
    worst: int,
    bits: int,
    dicom_file: Build,
    debian: Callable[..., Any],
    reference: Reference,
    tmp_path: Path,
    grey: NDArray[np.uint8],
) -> None:
    if option == "+eb" and bits == 12:
        pytest.skip("the baseline process is of 8 bits by its definition")
    pixels = grey if bits == 8 else grey.astype("<u2") * 16
    (tmp_path / "plain.dcm").write_bytes(dicom_file(pixels, bits=bits))
    done = debian(tool, option, tmp_path / "plain.dcm", tmp_path / "small.dcm")
    assert done.returncode == 0, done.stderr
    found = levels((tmp_path / "small.dcm").read_bytes())
    # A lossy JPEG gets a window with it, which undoes what the compressor scaled.
    windowed = "WindowCenter" in pydicom.dcmread(tmp_path / "small.dcm")
    reader = "dcml2pnm" if tool == "dcmcjpls" else "dcmj2pnm"
    options = ["+Wi", "1"] if windowed else []
    expected = reference(tmp_path / "small.dcm", *options, tool=reader, deep=bits > 8)
    if option in {"+e1", "+el"}:
        np.testing.assert_array_equal(found, levels(dicom_file(pixels, bits=bits)))
    off = np.abs(found - expected).max()
    assert off <= (1 + worst if bits == 8 else 16 + 64 * worst), f"off by {off}"


def test_an_eight_bit_file_gives_the_pixels_of_its_png(
    dicom_file: Build, grey: NDArray[np.uint8], film: Path
) -> None:
    np.testing.assert_array_equal(levels(dicom_file(grey)), levels(film.read_bytes()))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_widens_no_range(
    photometric: str, dicom_file: Build, deep: NDArray[np.uint16]
) -> None:
    plain = levels(dicom_file(deep, bits=12, PhotometricInterpretation=photometric))
    padded = deep.copy()
    padded[:10], padded[-5:] = 4000, 4090
    data = dicom_file(
        *(padded,),
        bits=12,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=4000,
        PixelPaddingRangeLimit=4095,
    )
    found = levels(data)
    assert not found[:10].any()
    assert not found[-5:].any()
    kept = (deep < 4000)[10:-5]
    np.testing.assert_array_equal(found[10:-5][kept], plain[10:-5][kept])


def test_a_left_aligned_film_is_shifted_down(dicom_file: Build, deep: NDArray[np.uint16]) -> None:
    data = dicom_file(deep << 4, bits=12, HighBit=15)
    np.testing.assert_array_equal(levels(data), levels(dicom_file(deep, bits=12)))


def test_bits_above_the_high_bit_are_no_grey(dicom_file: Build, deep: NDArray[np.uint16]) -> None:
    data = dicom_file(deep | 0xA000, bits=12)
    np.testing.assert_array_equal(levels(data), levels(dicom_file(deep, bits=12)))


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({"PixelSpacing": [0.3, 0.2]}, (180, 100)),
        ({"ImagerPixelSpacing": [0.1, 0.2]}, (120, 200)),
        ({"PixelAspectRatio": [2, 1]}, (240, 100)),
        ({"PixelSpacing": [0.2, 0.2], "PixelAspectRatio": [2, 1]}, (120, 100)),
        ({"PixelSpacing": [0.2001, 0.2]}, (120, 100)),
    ],
)
def test_pixels_become_square(
    attributes: dict[str, Any], shape: tuple[int, int], dicom_file: Build, deep: NDArray[np.uint16]
) -> None:
    assert levels(dicom_file(deep, **attributes)).shape == shape


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"WindowCenter": 100, "WindowWidth": 0}, "WindowWidth is 0, below 1"),
        ({"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}, "Function is CUBIC"),
        ({"PixelSpacing": [9, 1]}, "PixelSpacing makes pixels 9 times as high as wide"),
        ({"Rows": 7000, "Columns": 9000}, "9000 x 7000 pixels, above the limit of 50 million"),
        ({"Rows": 60, "Columns": 200}, "with a side below 75"),
        ({"BitsStored": 6}, "BitsStored is 6, not in 8 to 16"),
        ({"BitsAllocated": 32}, "BitsAllocated is 32"),
        ({"Rows": 121}, "damaged, truncated"),
        ({"RescaleSlope": "1e13"}, r"RescaleSlope is 1e\+13"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_name(
    attributes: dict[str, Any], says: str, dicom_file: Build, deep: NDArray[np.uint16]
) -> None:
    with pytest.raises(BadRadiographError, match=says):
        levels(dicom_file(deep, **attributes))


def test_a_palette_is_not_taken_for_grey(dicom_file: Build, deep: NDArray[np.uint16]) -> None:
    with pytest.raises(BadRadiographError, match="colour by a palette, which is not read"):
        levels(dicom_file(deep, PhotometricInterpretation="PALETTE COLOR"), force=True)


def test_what_is_no_radiograph_is_read_by_force(
    dicom_file: Build, deep: NDArray[np.uint16]
) -> None:
    expected = levels(dicom_file(deep))
    frames = np.stack([deep, deep // 2])
    np.testing.assert_array_equal(levels(dicom_file(frames), force=True), expected)
    np.testing.assert_array_equal(levels(dicom_file(deep, Modality="US"), force=True), expected)
    eight = (deep >> 4).astype(np.uint8)
    colour = levels(dicom_file(np.dstack([eight] * 3)), force=True)
    assert np.abs(colour - eight).max() <= 1


@pytest.mark.parametrize("odd", ["Rows", "BitsStored", "WindowWidth", "PixelSpacing", "Modality"])
def test_no_refusal_tells_who_the_patient_is(
    odd: str,
    dicom_file: Build,
    deep: NDArray[np.uint16],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A name in the wrong element is what a writer's bug, or a person in a hurry, makes of a file."""
    data = dicom_file(deep, WindowCenter=1, WindowWidth=9, PixelSpacing=[1, 1])
    elements = pydicom.dcmread(io.BytesIO(data))
    tag = elements[odd].tag
    del elements[odd]
    elements.add_new(tag, "LO", "Geheim^Gertrud")
    stream = io.BytesIO()
    elements.save_as(stream)
    said = ""
    try:
        levels(stream.getvalue())
    except BadRadiographError as refused:
        said = str(refused)
    assert bool(said) == (odd in {"Rows", "BitsStored", "WindowWidth"})
    out, err = capfd.readouterr()
    assert "eheim" not in said + out + err + caplog.text
