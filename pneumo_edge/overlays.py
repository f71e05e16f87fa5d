"""Overlays as PNG files in a folder, one for each finding."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.overlay import Look, draw
from pneumo_edge.types import Finding, Refusal

_STEM = 120
"""Bytes of a film's own name that its overlay keeps; with the digest, less than any file system takes."""

_COMPRESSION = 3
"""Of zlib: a few percent larger than the best, in a fraction of the time."""


class Overlays:
    """Draws each finding that has an explanation."""

    def __init__(self, folder: Path, inputs: Sequence[str], look: Look) -> None:
        """Make the folder, and see that it can be written to before a film is scored.

        Args:
            folder: Is made, with its parents.
            inputs: What is screened, as the user named it.
            look: How they are drawn.

        Raises:
            PneumoEdgeError: it cannot be made or written to, or lies where it would be taken for films.
        """
        self._folder, self._look = folder, look
        _check_outside(folder, inputs)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as err:
            raise PneumoEdgeError(
                f"cannot write to {folder} ({err.strerror})", "name a folder that you may write to"
            ) from None

    def keep(self, outcome: Finding | Refusal) -> Finding | Refusal:
        """Draw and write it; the finding then names its file.

        Raises:
            PneumoEdgeError: the file cannot be written.
        """
        if isinstance(outcome, Refusal) or outcome.explanation is None:
            return outcome
        picture = draw(outcome.explanation, outcome, self._look)
        options = [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION]
        fine, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
        assert fine, "OpenCV writes any RGB picture as PNG"
        target = self._folder / file_name(outcome)
        self._write(target, data.tobytes())
        return dataclasses.replace(outcome, overlay=str(target))

    def _write(self, target: Path, data: bytes) -> None:
        """Whole or not at all: a film that is named twice is written twice, and a disk may be full."""
        partial = ""
        try:
            handle, partial = tempfile.mkstemp(dir=self._folder, prefix=".overlay-")
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            umask = os.umask(0)
            os.umask(umask)
            Path(partial).chmod(0o666 & ~umask)  # mkstemp makes it private
            Path(partial).replace(target)
        except OSError as err:
            if partial:
                Path(partial).unlink(missing_ok=True)
            raise PneumoEdgeError(
                f"cannot write {target} ({err.strerror})", "free some space, or name another folder"
            ) from None


def file_name(finding: Finding) -> str:
    """The film's own name and a digest of its pixels: two films that are called alike do not meet.

    Nothing that a file says of its patient is part of it; what the user calls the file is, as everywhere.

    Args:
        finding: With its explanation.
    """
    assert finding.explanation is not None
    film = finding.explanation.film
    digest = hashlib.sha256(f"{film.shape}".encode())
    digest.update(np.ascontiguousarray(film).data)
    stem = "stdin" if finding.file == "-" else Path(finding.file).stem
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in stem)
    kept = plain.encode()[:_STEM].decode(errors="ignore").lstrip(".-")
    return f"{kept or 'film'}-{digest.hexdigest()[:8]}.png"


def _check_outside(folder: Path, inputs: Sequence[str]) -> None:
    """What is written below a folder that is screened would be screened too, now or the next time."""
    for name in inputs:
        if name != "-" and _is_below(folder, Path(name).expanduser()):
            raise PneumoEdgeError(
                f"{folder} lies in {name}, which is screened, so overlays would be taken for films",
                "name a folder beside it",
            )


def _is_below(folder: Path, screened: Path) -> bool:
    """Whether going through `screened` would come to `folder`; hidden folders are passed over."""
    try:
        if not screened.is_dir():
            return False
        below = folder.resolve().relative_to(screened.resolve())
    except (ValueError, OSError, RuntimeError):  # not below it, no such folder, a loop of links
        return False
    return not any(part.startswith(".") for part in below.parts)
