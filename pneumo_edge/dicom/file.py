"""The elements of a DICOM file that are asked for, read within bounds."""

from __future__ import annotations

import threading
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from pneumo_edge.errors import BadRadiographError

MAX_ELEMENTS = 20_000
"""At the top level; a file with more is built to waste time. Scanners write some hundreds."""

AGAIN = "copy or export the image again"

_PIXELS = 0x7FE00010

_quiet = threading.RLock()
"""pydicom's settings and Python's warnings are the process's, so one thread at a time."""


@contextmanager
def guarded(source: str) -> Iterator[None]:
    """Turn whatever pydicom makes of a malformed value into a refusal.

    It raises nearly every type there is, and warns and logs with the value in the text, which may be
    a patient's name: neither text is passed on.

    Raises:
        BadRadiographError: anything was raised within; it names the type and no value.
    """
    try:
        with _quiet, _tolerant():
            yield
    except BadRadiographError:
        raise
    except MemoryError:
        what = f"{source} needs more memory to read than there is"
        raise BadRadiographError(what, "export it smaller") from None
    except Exception as err:  # noqa: BLE001 - there is no narrower type that pydicom keeps to
        what = f"{source} is a DICOM file that is damaged, truncated or against the standard"
        raise BadRadiographError(f"{what} ({type(err).__name__})", AGAIN) from None


@contextmanager
def _tolerant() -> Iterator[None]:
    strict = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = strict


def read(data: bytes, source: str, keywords: Iterable[str], limit: int) -> Dataset:
    """Read the named elements of a file and nothing else.

    Args:
        data: The whole file, with or without preamble and file meta group.
        source: What to call it in messages.
        keywords: Of elements at the top level; a sequence comes with all that it holds. Others are
            passed over, so that nobody's name is ever decoded where it is not asked for.
        limit: Bytes that a deflated file may have when it is inflated.

    Returns:
        A data set with `file_meta.TransferSyntaxUID`, which is guessed where the file has none.

    Raises:
        BadRadiographError: it cannot be parsed, or is too large or too long to be worth it.
    """
    with guarded(source):
        start = 132 if data[128:132] == b"DICM" else 0
        stream: Any = BytesIO(data)
        stream.seek(start)
        meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _n: tag >> 16 != 2)
        syntax = meta.get("TransferSyntaxUID") or _guess(data[stream.tell() :][:6])
        if syntax == DeflatedExplicitVRLittleEndian:
            stream = BytesIO(_inflate(data[stream.tell() :], source, limit))
        found = read_dataset(
            stream,
            is_implicit_VR=syntax == ImplicitVRLittleEndian,
            is_little_endian=syntax != ExplicitVRBigEndian,
            stop_when=_Budget(source),
            specific_tags=[BaseTag(tag_for_keyword(keyword) or 0) for keyword in keywords],
        )
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = UID(syntax)
        return found


class _Budget:
    """Ends reading behind the pixel data, and refuses a file of too many elements."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._left = MAX_ELEMENTS

    def __call__(self, tag: BaseTag, _vr: str | None, _length: int) -> bool:
        self._left -= 1
        if self._left < 0:
            raise BadRadiographError(
                f"{self._source} has more than {MAX_ELEMENTS} DICOM elements", AGAIN
            )
        return int(tag) > _PIXELS


def _guess(head: bytes) -> str:
    """The encoding of a data set without file meta, from its first tag and value representation."""
    if head[:2] == b"\x00\x08":
        return ExplicitVRBigEndian
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian


def _inflate(data: bytes, source: str, limit: int) -> bytes:
    """Undo the deflation of PS3.5, A.5, up to a limit."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    found = stream.decompress(data, limit)
    if stream.unconsumed_tail:
        raise BadRadiographError(
            f"{source} inflates to more than the limit of {limit / 2**20:.0f} MiB",
            "export it smaller or with another transfer syntax",
        )
    return found
