"""What an image file says of itself before a pixel of it is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pneumo_edge import tiff_tags

MAX_CHUNKS = 100_000
"""A PNG or WebP with more is built to waste time."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The facts that decide whether a file is worth decoding."""

    format: str
    """PNG, JPEG, TIFF, BMP or WebP."""

    rows: int
    cols: int

    frames: int = 1
    """Pages or animation frames; a thumbnail in a TIFF is not counted."""

    complete: bool = True
    """False where the file ends before its own structure does; True where the codec tells."""

    orientation: int = 1
    """EXIF orientation, 1 to 8, still to be applied to what OpenCV decodes."""

    by_camera: bool = False
    """The EXIF block tells of an exposure."""

    premultiplied: bool = False
    """The codec hands out colour that is already multiplied by its alpha."""

    inverted: bool = False
    """Zero is white in what OpenCV decodes."""

    alpha_optional: bool = False
    """The fourth channel may be mere padding, as in many 32-bit BMPs."""


class MalformedHeaderError(ValueError):
    """The file starts like a known format and then breaks its rules."""


def read_header(data: bytes) -> ImageHeader | None:
    """Parse the header of PNG, JPEG, TIFF, BMP or WebP bytes.

    Returns:
        None where the bytes start like none of them.

    Raises:
        MalformedHeaderError: the format is known and its header cannot be parsed.
    """
    for matches, parse in _PARSERS:
        if matches(data):
            try:
                return parse(data)
            except (struct.error, IndexError):
                raise MalformedHeaderError("the file ends inside it") from None
            except ValueError as err:
                raise MalformedHeaderError(str(err)) from None
    return None


def gif_frames(data: bytes) -> int:
    """The image descriptors of a GIF, 0 for anything else; GIF is not read, only called by name.

    Source: GIF89a specification, sections 18 to 24.
    """
    if data[:6] not in (b"GIF87a", b"GIF89a") or len(data) < 13:
        return 0
    frames, at = 0, 13 + _colour_table(data[10])
    for _ in range(MAX_CHUNKS):
        kind = data[at : at + 1]
        if kind == b"," and at + 9 < len(data):
            frames += 1
            at += 11 + _colour_table(data[at + 9])  # the descriptor, and the LZW code size
        elif kind == b"!":
            at += 2
        else:
            break
        while at < len(data) and data[at]:  # data sub-blocks, up to the empty one
            at += 1 + data[at]
        at += 1
    return frames


def _colour_table(flags: int) -> int:
    """Bytes of a GIF's colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _png(data: bytes) -> ImageHeader:
    cols, rows = struct.unpack_from(">II", data, 16)
    if data[12:16] != b"IHDR":
        raise ValueError("no IHDR chunk")
    frames, complete, at, exif = 1, False, 8, b""
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"acTL":
            frames = struct.unpack_from(">I", data, at + 8)[0]
        elif kind == b"eXIf":
            exif = data[at + 8 : at + 8 + length]
        elif kind == b"IEND":
            complete = True
            break
        at += 12 + length
    return ImageHeader("PNG", rows, cols, frames, complete, *_exif(exif))


def _jpeg(data: bytes) -> ImageHeader:
    rows = cols = 0
    at, exif = 2, b""
    while True:
        if data[at] != 0xFF:
            raise ValueError(f"no marker at byte {at}")
        while data[at] == 0xFF:  # any number of fill bytes may stand before a marker
            at += 1
        marker = data[at]
        length = struct.unpack_from(">H", data, at + 1)[0]
        body = at + 3
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            rows, cols = struct.unpack_from(">HH", data, body + 1)
        elif marker == 0xE1 and data[body : body + 6] == b"Exif\0\0":
            exif = data[body + 6 : body + length - 2]
        elif marker == 0xDA:
            break
        at += 1 + length
    # Inside a scan 0xFF is always followed by 0 or a restart marker, so this is the end marker.
    complete = data.find(b"\xff\xd9", at) != -1
    return ImageHeader("JPEG", rows, cols, 1, complete, *_exif(exif))


def _exif(block: bytes) -> tuple[int, bool]:
    """Orientation, and whether a camera took it."""
    return tiff_tags.orientation(block), tiff_tags.by_camera(block)


def _tiff(data: bytes) -> ImageHeader:
    pages = tiff_tags.pages(data)
    first = pages[0]
    samples = first.get(tiff_tags.SAMPLES_PER_PIXEL, 1)
    if samples not in (1, 3, 4):
        raise ValueError(f"{samples} samples per pixel")
    bits = first.get(tiff_tags.BITS_PER_SAMPLE, 1)
    return ImageHeader(
        "TIFF",
        rows=first.get(tiff_tags.ROWS, 0),
        cols=first.get(tiff_tags.COLS, 0),
        frames=sum(1 for page in pages if not page.get(tiff_tags.SUBFILE_TYPE, 0) & 1),
        # libtiff's 8-bit RGBA reader multiplies by alpha; it hands wider samples out as they are.
        premultiplied=bits <= 8 or first.get(tiff_tags.EXTRA_SAMPLES) == 1,
        inverted=bits > 8 and first.get(tiff_tags.PHOTOMETRIC) == tiff_tags.MIN_IS_WHITE,
    )


def _bmp(data: bytes) -> ImageHeader:
    size = struct.unpack_from("<I", data, 14)[0]
    cols, rows = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    # A negative height says that the rows run downwards.
    return ImageHeader("BMP", abs(rows), cols, alpha_optional=True)


def _webp(data: bytes) -> ImageHeader:
    rows = cols = frames = 0
    at, exif = 12, b""
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    for _ in range(MAX_CHUNKS):
        if at + 8 > min(end, len(data)):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        body = at + 8
        if kind == b"VP8X":
            cols = 1 + int.from_bytes(data[body + 4 : body + 7], "little")
            rows = 1 + int.from_bytes(data[body + 7 : body + 10], "little")
        elif kind == b"VP8 " and not rows:
            cols, rows = (side & 0x3FFF for side in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L" and not rows:
            bits = struct.unpack_from("<I", data, body + 1)[0]
            cols, rows = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif kind == b"ANMF":
            frames += 1
        elif kind == b"EXIF":
            exif = data[body : body + length].removeprefix(b"Exif\0\0")
        at = body + length + (length & 1)
    return ImageHeader("WebP", rows, cols, max(frames, 1), end <= len(data), *_exif(exif))


_PARSERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], ImageHeader]], ...] = (
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda data: data.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda data: data[:4] in tiff_tags.MAGICS, _tiff),
    (lambda data: data.startswith(b"BM"), _bmp),
    (lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _webp),
)
