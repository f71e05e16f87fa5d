"""Every format that is read, every oddity that a file may have, and arbitrary bytes."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pneumo_edge import dicom
from pneumo_edge.decode import decode, decode_file
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.limits import MAX_ASPECT, MAX_BYTES, MIN_SIDE
from pneumo_edge.types import Radiograph

LOSSLESS = [".png", ".tiff", ".bmp"]
ALL = [*LOSSLESS, ".jpg", ".webp"]


def encode(suffix: str, pixels: NDArray[Any]) -> bytes:
    done, data = cv2.imencode(suffix, pixels)
    assert done
    return data.tobytes()


def pillow(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def seeds() -> list[bytes]:
    """One small file of each kind, for the mutations below."""
    rows = np.linspace(20, 230, 100 * 90).reshape(100, 90).astype(np.uint8)
    colour = np.dstack([rows, rows, 255 - rows])
    found = [encode(suffix, pixels) for suffix in ALL for pixels in (rows, colour)]
    found.append(encode(".png", rows.astype(np.uint16) * 257))
    found.append(encode(".tiff", rows.astype(np.uint16) * 257))
    exif = Image.Exif()
    exif[0x112] = 6
    found += [pillow(Image.fromarray(colour), kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP")]
    found.append(pillow(Image.fromarray(rows), "GIF"))
    return found


SEEDS = seeds()


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_lossless_grey_file_gives_its_own_pixels(suffix: str, grey: NDArray[np.uint8]) -> None:
    film = decode(encode(suffix, grey), "film")
    np.testing.assert_array_equal(film.pixels, grey)
    assert (film.bits_stored, film.source) == (8, "film")


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_lossy_file_stays_near_its_pixels(suffix: str, grey: NDArray[np.uint8]) -> None:
    image = Image.open(io.BytesIO(encode(suffix, np.dstack([grey] * 3)))).convert("L")
    film = decode(encode(suffix, np.dstack([grey] * 3)), "film")
    worst = np.abs(film.pixels.astype(int) - np.asarray(image, dtype=int)).max()
    assert worst <= 2, f"Pillow decodes up to {worst} grey levels away"


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_are_kept(suffix: str, grey: NDArray[np.uint8]) -> None:
    deep = grey.astype(np.uint16) * 257 + 3
    film = decode(encode(suffix, deep), "film")
    np.testing.assert_array_equal(film.pixels, deep)
    assert film.bits_stored == 16


@pytest.mark.parametrize(
    ("top", "bits"), [(65535, 16), (16384, 16), (16383, 14), (4095, 12), (1023, 10), (255, 8)]
)
def test_the_brightest_pixel_tells_the_significant_bits(top: int, bits: int) -> None:
    deep = np.linspace(0, top, 100 * 100).astype(np.uint16).reshape(100, 100)
    deep[-1, -1] = top
    film = decode(encode(".png", deep), "film")
    assert film.bits_stored == bits
    np.testing.assert_array_equal(film.pixels, deep)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_colour_becomes_the_documented_luma(suffix: str) -> None:
    bgr = np.random.default_rng(3).integers(0, 256, (90, 100, 3)).astype(np.uint8)
    expected = bgr @ np.array([0.114, 0.587, 0.299])
    worst = np.abs(decode(encode(suffix, bgr), "film").pixels - expected).max()
    assert worst <= 0.51, f"off by {worst}"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_what_is_transparent_lies_on_black(kind: str) -> None:
    rgba = np.full((90, 100, 4), 128, np.uint8)
    rgba[:, :50, 3], rgba[:, 50:, 3] = 0, 64
    lossless = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    film = decode(pillow(Image.fromarray(rgba, "RGBA"), kind, **lossless), "film")
    assert (film.pixels[0, 0], film.pixels[0, -1]) == (0, 32)


def test_a_palette_with_alpha_is_read() -> None:
    image = Image.fromarray(np.full((90, 100), 5, np.uint8), "P")
    image.putpalette([200] * 768)
    film = decode(pillow(image, "PNG", transparency=bytes([128] * 256)), "film")
    assert np.unique(film.pixels).tolist() == [100]


def test_a_32_bit_bmp_whose_fourth_byte_is_padding_is_not_black() -> None:
    header = struct.pack("<IiiHHIIiiII", 40, 100, 90, 1, 32, 0, 0, 0, 0, 0, 0)
    body = bytes([150, 150, 150, 0]) * 9000
    data = struct.pack("<2sIHHI", b"BM", 54 + len(body), 0, 0, 54) + header + body
    assert np.unique(decode(data, "film").pixels).tolist() == [150]


def test_a_cmyk_jpeg_is_read_as_pillow_reads_it(grey: NDArray[np.uint8]) -> None:
    image = Image.fromarray(np.dstack([255 - grey] * 3 + [np.zeros_like(grey)]), "CMYK")
    data = pillow(image, "JPEG", quality=95)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").convert("L"), dtype=int)
    worst = np.abs(decode(data, "film").pixels - expected).max()
    assert worst <= 3, f"off by {worst}"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied_as_pillow_does(kind: str, orientation: int) -> None:
    pixels = np.zeros((80, 100), np.uint8)
    pixels[:40, :50], pixels[:40, 50:], pixels[40:, :50] = 250, 170, 90
    exif = Image.Exif()
    exif[0x112] = orientation
    data = pillow(Image.fromarray(pixels).convert("RGB"), kind, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("L")
    worst = np.abs(decode(data, "film").pixels - np.asarray(upright, dtype=int)).max()
    assert worst <= 3, f"off by {worst}"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_inverted(dtype: type[np.uint8 | np.uint16]) -> None:
    top = np.iinfo(dtype).max
    pixels = np.zeros((90, 100), dtype)
    pixels[:45] = top
    data = bytearray(encode(".tiff", pixels))
    (at,) = struct.unpack_from("<I", data, 4)
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        if struct.unpack_from("<H", data, entry)[0] == 262:
            struct.pack_into("<H", data, entry + 8, 0)
    film = decode(bytes(data), "film")
    assert (film.pixels[0, 0], film.pixels[-1, -1]) == (0, top)


def png_header(cols: int, rows: int) -> bytes:
    """A PNG that claims a size and holds one row of zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", cols, rows, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(cols + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("cols", "rows", "says"),
    [
        (1, 1, "1 x 1 pixels, with a side below 75"),
        (1, 100_000, "1 x 100000 pixels, with a side below 75"),
        (30_000, 30_000, "30000 x 30000 pixels, above the limit of 50 million"),
        (100, 401, "100 x 401 pixels, longer than 4:1"),
        (0, 0, "0 x 0 pixels"),
        (2**31, 2**31, "above the limit"),
    ],
)
def test_an_impossible_size_is_refused_from_the_header(cols: int, rows: int, says: str) -> None:
    data = png_header(min(cols, 40_000), rows)
    data = data[:16] + struct.pack(">II", cols, rows) + data[24:]
    with pytest.raises(BadRadiographError, match=says):
        decode(data, "film")


def test_the_smallest_and_the_longest_film_are_read() -> None:
    long = int(MIN_SIDE * MAX_ASPECT)
    assert decode(encode(".png", np.zeros((MIN_SIDE, long), np.uint8)), "f").pixels.shape == (
        75,
        300,
    )


@pytest.mark.parametrize("suffix", ALL)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(suffix: str, kept: float, grey: NDArray[np.uint8]) -> None:
    data = encode(suffix, grey)
    with pytest.raises(BadRadiographError, match=r"truncated|damaged"):
        decode(data[: int(len(data) * kept)], "film")


def test_a_jpeg_with_lost_middle_is_refused(
    grey: NDArray[np.uint8], capfd: pytest.CaptureFixture[str]
) -> None:
    data = encode(".jpg", grey)
    with pytest.raises(BadRadiographError, match="part of the image is lost"):
        decode(data[: len(data) // 2] + b"\xff\xd9", "film")
    assert capfd.readouterr().err == "", "libjpeg wrote to the terminal"


def frames(kind: str) -> bytes:
    first = Image.fromarray(np.zeros((90, 100), np.uint8))
    more = [Image.fromarray(np.full((90, 100), level, np.uint8)) for level in (90, 180)]
    return pillow(first, kind, save_all=True, append_images=more)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("GIF", "an animated GIF of 3 frames"),
        ("PNG", "an animated PNG of 3 frames"),
        ("WEBP", "an animated WebP of 3 frames"),
        ("TIFF", "a TIFF of 3 pages"),
    ],
)
def test_several_frames_are_refused_by_name(kind: str, says: str) -> None:
    with pytest.raises(BadRadiographError, match=says):
        decode(frames(kind), "film")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"dear doctor,\n", "is text"),
        ("Röntgenbild ".encode() * 200, "is text"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC image"),
        (b"\x00\x01\x02\x03" * 30, "of no known image format"),
        (b"\x89PNG\r\n\x1a\n", "a damaged header"),
        (b"II*\0\xff\xff\xff\xff", "a damaged header"),
        (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "a damaged header"),
    ],
)
def test_what_is_no_film_is_called_by_its_name(data: bytes, says: str) -> None:
    with pytest.raises(BadRadiographError, match=says):
        decode(data, "film")


@pytest.mark.parametrize(
    "data", [bytes(128) + b"DICM" + bytes(40), b"\x08\x00\x05\x00CS\n\x00ISO_IR 100"]
)
def test_without_the_extra_a_dicom_file_says_which_extra_reads_it(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.startswith("pneumo_edge.dicom.")]:
        monkeypatch.delitem(sys.modules, module)
        monkeypatch.delattr(dicom, module.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(BadRadiographError, match=r"DICOM.*pydicom.*'pneumo-edge\[dicom\]'"):
        decode(data, "film")


def test_float_pixels_are_refused(grey: NDArray[np.uint8]) -> None:
    data = pillow(Image.fromarray(grey.astype(np.float32)), "TIFF")
    with pytest.raises(BadRadiographError, match="float32"):
        decode(data, "film")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(BadRadiographError, match="above the limit of 128"):
        decode_file(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(BadRadiographError, match="no regular file"):
        decode_file(tmp_path / "pipe.png")


def test_opencv_s_own_limits_give_no_traceback(
    grey: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenCV reads the variable once, so that a process of its own has to.
    import subprocess
    import sys

    code = (
        "import sys; from pneumo_edge.decode import decode\n"
        "from pneumo_edge.errors import BadRadiographError\n"
        "try: decode(sys.stdin.buffer.read(), 'film')\n"
        "except BadRadiographError as err: print(err.what)"
    )
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "100")
    done = subprocess.run(
        [sys.executable, "-c", code], input=encode(".png", grey), capture_output=True, check=True
    )
    assert b"does not decode" in done.stdout
    assert done.stderr == b""


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_give_a_film_or_a_refusal(data: bytes) -> None:
    check_total(data)


@settings(max_examples=400, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    anywhere=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    kept=st.floats(0.2, 1),
)
def test_mutated_files_give_a_film_or_a_refusal(
    seed: bytes, edits: list[tuple[int, int]], anywhere: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(seed)
    for at, value in edits:  # headers lie at the start
        data[min(at, len(data) - 1)] = value
    for place, value in anywhere:
        data[int(place * (len(data) - 1))] = value
    check_total(bytes(data[: int(kept * len(data))]))


def check_total(data: bytes) -> None:
    try:
        film: Radiograph | BadRadiographError = decode(data, "film")
    except BadRadiographError as err:
        film = err
    if isinstance(film, Radiograph):
        assert min(film.pixels.shape) >= MIN_SIDE
    else:
        assert film.what.startswith("film ")
        assert film.remedy
        assert "\n" not in str(film)
