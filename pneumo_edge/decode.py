"""From the bytes of an image file to a radiograph."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge import native_stderr
from pneumo_edge.dicom import is_dicom
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.image_header import ImageHeader, MalformedHeaderError, gif_frames, read_header
from pneumo_edge.limits import check_bytes, check_size
from pneumo_edge.photo import Film, rectify
from pneumo_edge.types import PhotoMode, Radiograph

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".tif", ".tiff", ".bmp", ".dib", ".webp"})
"""File names that a folder is searched for, in lower case."""

EXPORT = "export it as one grey PNG, JPEG, TIFF, BMP or WebP image"

_COLOUR_SIDE = 128
"""Rows and columns, at most, on which colour is measured."""

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

_OTHERS = (
    (0, b"GIF8", "a GIF"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftypmif", "a HEIC image"),
    (4, b"ftypavi", "an AVIF image"),
    (4, b"ftyp", "a video"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x89HDF", "an HDF5 file"),
)
"""Offset, magic bytes, what to call it."""


def decode_file(path: Path) -> Radiograph:
    """Read and decode one file.

    Raises:
        BadRadiographError: the file cannot be read, or `decode` refuses its bytes.
    """
    return decode(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The whole of a regular file of at most MAX_BYTES.

    Raises:
        BadRadiographError: it is missing, a broken link, unreadable, no regular file, or too large.
    """
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            raise BadRadiographError(f"{path} is a folder", "name an image file inside it")
        if not stat.S_ISREG(info.st_mode):
            raise BadRadiographError(f"{path} is no regular file", "copy the image to a plain file")
        check_bytes(info.st_size, str(path))
        return path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            target = path.readlink()
            raise BadRadiographError(
                f"{path} is a link to {target}, which does not exist",
                "restore that file or the link",
            ) from None
        raise BadRadiographError(
            f"{path} does not exist", "check the spelling and folder"
        ) from None
    except PermissionError:
        raise BadRadiographError(
            f"{path} may not be read by this user", f"grant it, for instance: chmod a+r '{path}'"
        ) from None
    except (
        OSError,
        ValueError,
    ) as err:  # a loop of links, a name too long, a null byte, a bad disk
        reason = getattr(err, "strerror", None) or err
        raise BadRadiographError(
            f"{path} cannot be read ({reason})", "check the name and the disk"
        ) from None


def decode(data: bytes, source: str, force: bool = False, photo: PhotoMode = "auto") -> Radiograph:
    """Decode PNG, JPEG, TIFF, BMP or WebP bytes, 8 or 16 bits, one frame; or DICOM, by its extra.

    Colour becomes grey by the luma 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). What is
    transparent is laid on black. EXIF orientation is applied. Colour profiles and gamma are not. A
    16-bit file whose brightest pixel needs 14, 12, 10 or 8 bits at most is taken to hold that many,
    as exports of detectors do; otherwise it would be read as a nearly black film.

    Args:
        data: The whole file; dimensions are checked in its header before anything is decoded.
        source: What to call it in messages and in the finding.
        force: Read a DICOM file even if it says that it is no radiograph.
        photo: Whether to take the film out of a photo of it; see `photo.rectify`. DICOM files are no photos.

    Raises:
        BadRadiographError: it is of no such format, damaged, truncated, has several frames, or its
            size is out of range; or it is a photo of several films, or, where that was asked for, of none.
    """
    check_bytes(len(data), source)
    if is_dicom(data):
        return _dicom(data, source, force)
    try:
        header = read_header(data)
    except MalformedHeaderError as err:
        raise BadRadiographError(f"{source} has a damaged header ({err})", EXPORT) from None
    if header is None:
        raise BadRadiographError(f"{source} is {_other(data)}, not a radiograph", EXPORT)
    _check_header(header, source)
    pixels = _pixels(data, header, source)
    note = None
    if photo != "never" and not header.inverted:
        found = rectify(_upright(pixels, header.orientation), photo, header.by_camera, source)
        if isinstance(found, Film):
            return Radiograph(found.pixels, 8, source, photo=found.note)
        note = found
    grey = _upright(_grey(pixels, header), header.orientation)
    film = _radiograph(grey, header, source, _colour(pixels))
    return film if note is None else replace(film, photo=note)


def _dicom(data: bytes, source: str, force: bool) -> Radiograph:
    try:
        from pneumo_edge.dicom import film
    except ModuleNotFoundError as err:
        raise BadRadiographError(
            f"{source} is a DICOM file, and {err.name} is not installed",
            "run: pip install 'pneumo-edge[dicom]'",
        ) from None
    return film.decode(data, source, force)


def _check_header(header: ImageHeader, source: str) -> None:
    """Refuse by size, frames and completeness; nothing has been decoded yet."""
    check_size(header.rows, header.cols, source)
    if header.frames != 1:
        kind = "pages" if header.format == "TIFF" else "frames"
        name = {"PNG": "an animated PNG", "WebP": "an animated WebP"}.get(header.format, "a TIFF")
        raise BadRadiographError(
            f"{source} is {name} of {header.frames} {kind}", "export one frame as a still image"
        )
    if not header.complete:
        raise _damaged(header, source, "truncated: it ends before the image does")


def _pixels(data: bytes, header: ImageHeader, source: str) -> Pixels:
    """Decode with OpenCV, and take a codec's warnings for what they are: lost pixels."""
    with native_stderr.captured() as written:
        try:
            pixels: NDArray[Any] | None = cv2.imdecode(
                np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED
            )
        except (cv2.error, MemoryError):  # among others, OpenCV's own limits on size
            pixels = None
        warnings = written()
    if pixels is None:
        raise _damaged(
            header, source, "damaged, truncated or of a variant that OpenCV does not decode"
        )
    if "Corrupt JPEG data" in warnings or "premature end" in warnings.lower():
        raise _damaged(header, source, "damaged: part of the image is lost")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise BadRadiographError(
            f"{source} holds {pixels.dtype} pixels, not 8 or 16 unsigned bits", EXPORT
        )
    return cast(Pixels, pixels)


def _damaged(header: ImageHeader, source: str, how: str) -> BadRadiographError:
    return BadRadiographError(
        f"{source} is a {header.format} that is {how}", "copy or export the image again"
    )


def _grey(pixels: Pixels, header: ImageHeader) -> Pixels:
    """(rows, cols) of the same depth, from grey, BGR or BGRA."""
    if pixels.ndim == 2:
        grey = pixels
    elif pixels.shape[2] == 1:
        grey = pixels[:, :, 0]
    else:
        grey = cast(Pixels, cv2.cvtColor(pixels[:, :, :3], cv2.COLOR_BGR2GRAY))
        if pixels.shape[2] == 4 and not header.premultiplied:
            alpha = cast(Pixels, np.ascontiguousarray(pixels[:, :, 3]))
            if alpha.any() or not header.alpha_optional:
                scale = 1.0 / (255 if pixels.dtype == np.uint8 else 65535)
                grey = cast(Pixels, cv2.multiply(grey, alpha, scale=scale))
    return np.invert(grey) if header.inverted else grey


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (CIPA DC-008, tag 274)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return cast(Pixels, np.ascontiguousarray(pixels))


def _colour(pixels: Pixels) -> float:
    """0 to 1: `Radiograph.colour` of grey, BGR or BGRA.

    What a straight line through brightness explains of red and of blue is the tint of a lamp, a scanner or a sheet
    of film, and does not count. Measured on 128 pixels a side at most, so that a camera's noise averages out.
    """
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        return 0.0
    rows, cols = (min(side, _COLOUR_SIDE) for side in pixels.shape[:2])
    small = cv2.resize(pixels[:, :, :3], (cols, rows), interpolation=cv2.INTER_AREA)
    bgr = small.reshape(-1, 3).astype(np.float64) / np.iinfo(pixels.dtype).max
    luma = bgr @ (0.114, 0.587, 0.299)
    line = np.stack([luma, np.ones_like(luma)], 1)
    outer = bgr[:, [0, 2]]
    left = outer - line @ np.linalg.lstsq(line, outer, rcond=None)[0]
    return float(np.sqrt((left**2).mean()))


def _radiograph(pixels: Pixels, header: ImageHeader, source: str, colour: float) -> Radiograph:
    """Settle the significant bits, and hand over."""
    if pixels.dtype == np.uint8:
        return Radiograph(pixels, 8, source, colour)
    # Inverting has moved the unused values to the top: the brightest pixel tells nothing.
    needed = 16 if header.inverted else int(pixels.max()).bit_length()
    bits = next(depth for depth in (8, 10, 12, 14, 16) if needed <= depth)
    return Radiograph(pixels.astype(np.uint8) if bits == 8 else pixels, bits, source, colour)


def _other(data: bytes) -> str:
    """What to call bytes that are no image of ours."""
    if (frames := gif_frames(data)) > 1:
        return f"an animated GIF of {frames} frames"
    for at, magic, name in _OTHERS:
        if data[at : at + len(magic)] == magic:
            return name
    try:
        data[:1024].decode("utf-8")
    except UnicodeDecodeError as err:
        # A character may be cut in two at the end of the excerpt.
        return "text" if err.start >= 1020 else "of no known image format"
    return "of no known image format" if b"\0" in data[:1024] else "text"
