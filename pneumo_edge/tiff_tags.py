"""The tag directories of a TIFF file, which an EXIF block is too."""

from __future__ import annotations

import struct

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Classic TIFF and BigTIFF, in both byte orders."""

SUBFILE_TYPE, COLS, ROWS, BITS_PER_SAMPLE, PHOTOMETRIC = 254, 256, 257, 258, 262
ORIENTATION, SAMPLES_PER_PIXEL, EXTRA_SAMPLES = 274, 277, 338
EXIF_IFD, EXPOSURE_TIME, F_NUMBER, FOCAL_LENGTH = 34665, 33434, 33437, 37386
MIN_IS_WHITE = 0
"""Value of PHOTOMETRIC (TIFF 6.0, section 4)."""

MAX_PAGES = 1000
_SIZES = {1: 1, 3: 2, 4: 4, 16: 8}
"""Bytes of BYTE, SHORT, LONG and LONG8, the types that our tags have."""


def pages(data: bytes) -> list[dict[int, int]]:
    """Read every directory.

    Returns:
        One dictionary per page, of tag to its first value; tags that hold no integers are left out.

    Raises:
        ValueError, struct.error: no directory, a loop of directories, or one outside the file.
    """
    order = "<" if data.startswith(b"II") else ">"
    big = data[:4] in MAGICS[2:]
    at: int = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    found: list[dict[int, int]] = []
    seen: set[int] = set()
    while at:
        if at in seen or len(found) >= MAX_PAGES:
            raise ValueError(f"a loop of directories at byte {at}")
        seen.add(at)
        page, at = _page(data, at, order, big)
        found.append(page)
    if not found:
        raise ValueError("no directory")
    return found


def orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 (upright) where it is absent, damaged or out of range."""
    value = _first(exif).get(ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def by_camera(exif: bytes) -> bool:
    """Whether an EXIF block tells of an exposure (CIPA DC-008: time, f-number or focal length), as scanners do not."""
    place = _first(exif).get(EXIF_IFD)
    if place is None:
        return False
    order = "<" if exif.startswith(b"II") else ">"
    try:
        count: int = struct.unpack_from(order + "H", exif, place)[0]
        entries = range(place + 2, place + 2 + 12 * min(count, MAX_PAGES), 12)
        tags = {struct.unpack_from(order + "H", exif, entry)[0] for entry in entries}
    except struct.error:
        return False
    return bool(tags & {EXPOSURE_TIME, F_NUMBER, FOCAL_LENGTH})


def _first(exif: bytes) -> dict[int, int]:
    """The first directory of an EXIF block; empty where it is absent or damaged."""
    if exif[:4] not in MAGICS:
        return {}
    try:
        return pages(exif)[0]
    except (ValueError, struct.error):
        return {}


def _page(data: bytes, at: int, order: str, big: bool) -> tuple[dict[int, int], int]:
    """One directory, with the offset of the next."""
    count: int = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
    at += 8 if big else 2
    width = 20 if big else 12
    if count * width > len(data) - at:
        raise ValueError(f"a directory of {count} tags runs past the end")
    tags = {}
    for entry in range(at, at + count * width, width):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        length = struct.unpack_from(order + ("Q" if big else "I"), data, entry + 4)[0]
        size = _SIZES.get(kind)
        if size is None or length == 0:
            continue
        place = entry + (12 if big else 8)
        if size * length > (8 if big else 4):
            place = struct.unpack_from(order + ("Q" if big else "I"), data, place)[0]
        tags[tag] = struct.unpack_from(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], data, place)[
            0
        ]
    return tags, struct.unpack_from(order + ("Q" if big else "I"), data, at + count * width)[0]
