"""How large a compressed frame says that it is, before a codec believes it."""

from __future__ import annotations

import struct

from pneumo_edge.image_header import MalformedHeaderError

_STANDALONE = {0x01, *range(0xD0, 0xD9)}
"""JPEG markers without a length: TEM, RST0 to RST7, SOI."""


def size(frame: bytes) -> tuple[int, int]:
    """Rows and columns of a JPEG, JPEG-LS or JPEG 2000 frame.

    Raises:
        MalformedHeaderError: the frame is none of them, or its header is cut off or broken.
    """
    try:
        if frame[:4] == b"\xff\x4f\xff\x51":
            return _jpeg_2000(frame)
        if frame[4:8] == b"jP  ":  # in a file of its own, which the standard forbids and some do
            return _jpeg_2000(frame[frame.index(b"\xff\x4f\xff\x51") :])
        if frame[:2] == b"\xff\xd8":
            return _jpeg(frame)
    except (struct.error, IndexError, ValueError):
        raise MalformedHeaderError("the compressed frame ends inside its header") from None
    raise MalformedHeaderError("the compressed frame is of no known kind")


def _jpeg_2000(frame: bytes) -> tuple[int, int]:
    """The SIZ marker: ISO/IEC 15444-1, A.5.1."""
    width, height, left, top = struct.unpack_from(">4I", frame, 8)
    return height - top, width - left


def _jpeg(frame: bytes) -> tuple[int, int]:
    """A start-of-frame marker: ITU-T T.81, B.2.2; for JPEG-LS, T.87, C.2.2."""
    at = 2
    while True:
        if frame[at] != 0xFF:
            raise MalformedHeaderError(f"no marker at byte {at} of the compressed frame")
        while frame[at] == 0xFF:
            at += 1
        marker = frame[at]
        at += 1
        if marker in _STANDALONE:
            continue
        if marker in {0xDA, 0xD9}:
            raise MalformedHeaderError("the compressed frame has no size")
        if (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}) or marker == 0xF7:
            rows, cols = struct.unpack_from(">HH", frame, at + 3)
            return rows, cols
        at += struct.unpack_from(">H", frame, at)[0]
