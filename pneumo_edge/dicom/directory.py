"""DICOMDIR: the files that the index of a disc names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pneumo_edge.decode import read_bytes
from pneumo_edge.dicom import file
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.limits import MAX_BYTES

NAME = "DICOMDIR"
"""What its file is always called: DICOM PS3.10, 8.6."""


def images(index: Path) -> list[Path]:
    """The files that its IMAGE records name, in their order, below the index's folder.

    Args:
        index: The DICOMDIR. Names that its medium shows in lower case are found, too.

    Raises:
        BadRadiographError: it cannot be read, or names what is no file of its disc.
    """
    source = str(index)
    found = file.read(read_bytes(index), source, ["DirectoryRecordSequence"], MAX_BYTES)
    with file.guarded(source):
        named = [
            [str(part) for part in _parts(record.get("ReferencedFileID"))]
            for record in found.get("DirectoryRecordSequence") or []
            if record.get("DirectoryRecordType") == "IMAGE"
        ]
    return [_below(index.parent, parts, source) for parts in named if parts]


def _parts(value: Any) -> list[object]:
    """A single component comes as text, several as a list."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else list(value)


def _below(folder: Path, parts: list[str], source: str) -> Path:
    """The standard allows eight components of eight characters (PS3.10, 8.2): none can lead elsewhere."""
    if len(parts) > 8 or not all(re.fullmatch(r"[A-Za-z0-9_]{1,16}", part) for part in parts):
        raise BadRadiographError(
            f"{source} names a file outside of the standard's rules", "name the folder instead"
        )
    exact = folder.joinpath(*parts)
    lower = folder.joinpath(*(part.lower() for part in parts))
    return lower if not exact.exists() and lower.exists() else exact
