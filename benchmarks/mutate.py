"""Damage to image and DICOM files, the same for the same random numbers."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

from pneumo_edge.dicom import is_dicom

MAX_GROWTH = 4096
"""Bytes that one mutation may add: the limits are met by numbers in headers, not by long files."""

_NUMBERS = (0, 1, 2, 3, 7, 8, 12, 15, 16, 17, 127, 128, 255, 256, 32767, 32768, 65535)
_WIDE = (*_NUMBERS, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)

_TAGS = (
    *((0x28, element) for element in (0x02, 0x04, 0x06, 0x08, 0x10, 0x11, 0x30, 0x34)),
    *((0x28, element) for element in (0x100, 0x101, 0x102, 0x103, 0x120, 0x121)),
    *((0x28, element) for element in (0x1050, 0x1051, 0x1052, 0x1053, 0x1056, 0x3000, 0x3010)),
    *((0x08, element) for element in (0x05, 0x16, 0x60)),
    *((0x02, 0x10), (0x7FE0, 0x10), (0xFFFE, 0xE000), (0xFFFE, 0xE0DD), (0x2050, 0x20)),
)
"""DICOM elements that decide how pixels are read."""


def mutate(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """One to four damages to `data`, one after the other.

    Args:
        data: A file; not modified.
        other: A file to take pieces from.
        rng: Decides all.
    """
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        if found:
            rng.choice(_fitting(found))(found, other, rng)
    return bytes(found)


def _at(data: bytearray, rng: random.Random) -> int:
    """A position: half of them among the first bytes, where headers are."""
    reach = min(len(data), 600) if rng.random() < 0.5 else len(data)
    return rng.randrange(max(reach, 1))


def _flip(data: bytearray, _other: bytes, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        data[_at(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, _other: bytes, rng: random.Random) -> None:
    at = _at(data, rng)
    data[at : at + rng.randint(1, 16)] = rng.randbytes(rng.randint(1, 16))


def _number(data: bytearray, _other: bytes, rng: random.Random) -> None:
    """A number that a parser may have forgotten, in either byte order."""
    order, (kind, values) = rng.choice("<>"), rng.choice((("H", _NUMBERS), ("I", _WIDE)))
    packed = struct.pack(order + kind, rng.choice(values))
    at = _at(data, rng)
    data[at : at + len(packed)] = packed


def _truncate(data: bytearray, _other: bytes, rng: random.Random) -> None:
    del data[_at(data, rng) :]


def _delete(data: bytearray, _other: bytes, rng: random.Random) -> None:
    at = _at(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 8, 64, 512))]


def _repeat(data: bytearray, _other: bytes, rng: random.Random) -> None:
    at = _at(data, rng)
    piece = data[at : at + rng.choice((1, 2, 8, 64, 512))]
    data[at:at] = piece * rng.randint(1, MAX_GROWTH // max(len(piece), 1))


def _splice(data: bytearray, other: bytes, rng: random.Random) -> None:
    at, taken = _at(data, rng), _at(bytearray(other), rng)
    data[at:] = other[taken:]


def _dicom_element(data: bytearray, _other: bytes, rng: random.Random) -> None:
    """Another length or value for an element that decides how pixels are read."""
    group, element = rng.choice(_TAGS)
    at = data.find(struct.pack("<HH", group, element))
    if at < 0 or at + 16 > len(data):
        return _number(data, _other, rng)
    wide = bytes(data[at + 4 : at + 6]) in {b"OW", b"OB", b"SQ", b"UN"}
    if rng.random() < 0.4:
        length = struct.pack("<I" if wide else "<H", rng.choice(_WIDE if wide else _NUMBERS))
        start = at + (8 if wide else 6)
    else:
        length = struct.pack("<H", rng.choice(_NUMBERS))
        if rng.random() < 0.3:  # decimal strings
            length = rng.choice((b"-1", b"0\\", b"9e", b"..", b"1\\", b"\0\0", b"nn"))
        start = at + 8 + 4 * wide
    data[start : start + len(length)] = length
    return None


def _jpeg_marker(data: bytearray, _other: bytes, rng: random.Random) -> None:
    """Another marker, length, or size for a segment of a JPEG, in a DICOM file too."""
    start = data.find(b"\xff\xd8\xff")
    markers = [
        at for at in range(max(start, 0), min(start + 2000, len(data) - 9)) if data[at] == 255
    ]
    if start < 0 or not markers:
        return _number(data, _other, rng)
    at = rng.choice(markers)
    if rng.random() < 0.2:
        data[at + 1] = rng.choice(
            (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xDA, 0xDB, 0xDD, 0xF7, 0xF8)
        )
    else:
        offset = rng.choice((2, 4, 5, 7, 9))
        data[at + offset : at + offset + 2] = struct.pack(">H", rng.choice(_NUMBERS))
    return None


def _png_chunk(data: bytearray, _other: bytes, rng: random.Random) -> None:
    """Damage within a chunk whose checksum is then made right, so that the decoder goes on."""
    chunks, at = [], 8
    while data[:4] == b"\x89PNG" and at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        chunks.append((at, length))
        at += 12 + length
    if not chunks:
        return _flip(data, _other, rng)
    at, length = rng.choice(chunks)
    body = bytearray(data[at + 4 : at + 8 + length])
    if body[:4] == b"IDAT" and rng.random() < 0.7:
        body[4:] = _recompressed(bytes(body[4:]), rng)
    else:
        _damage(body, rng)
    checksum = struct.pack(">I", zlib.crc32(body))
    data[at : at + 12 + length] = struct.pack(">I", len(body) - 4) + body + checksum
    return None


def _damage(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 4, 16, 255, rng.randrange(256)))


def _recompressed(data: bytes, rng: random.Random) -> bytes:
    """Damage to what a stream inflates to, where it does: its own checksum would give it away."""
    try:
        inflated = bytearray(zlib.decompressobj().decompress(data, 2**20))
    except zlib.error:
        return data
    if inflated:
        _damage(inflated, rng)
        del inflated[rng.randrange(1, 4 * len(inflated)) :]
    return zlib.compress(inflated)


_Mutation = Callable[[bytearray, bytes, random.Random], None]
_ANY: tuple[_Mutation, ...] = (
    *(_flip, _overwrite, _number, _number, _truncate, _delete, _repeat, _splice),
)


def _fitting(data: bytearray) -> tuple[_Mutation, ...]:
    """Blind damage, and about as often damage that knows the format."""
    if data[:4] == b"\x89PNG":
        return (*_ANY, *[_png_chunk] * 8)
    if data[:3] == b"\xff\xd8\xff":
        return (*_ANY, *[_jpeg_marker] * 5)
    if is_dicom(bytes(data[:132])):
        return (*_ANY, *[_dicom_element] * 6, *[_jpeg_marker] * 2)
    return _ANY
