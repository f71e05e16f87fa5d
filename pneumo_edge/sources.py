"""What the user named, one image at a time: files, folders, patterns, standard input."""

from __future__ import annotations

import glob
import heapq
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pneumo_edge.decode import SUFFIXES, read_bytes
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.limits import MAX_BYTES

STDIN = "-"

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic"})
"""Also searched for in a folder, in lower case."""

NAMES_AT_A_TIME = 4096
"""A folder is gone through again for each so many entries: its names never all lie in memory."""


@dataclass(frozen=True, slots=True)
class Source:
    """One image that has not been read yet."""

    name: str
    """As the user named it, or its path below the folder that the user named."""

    failure: BadRadiographError | None = None
    """Set where there is nothing to read; `read` raises it."""

    def read(self) -> bytes:
        """The whole file, or standard input up to its end.

        Raises:
            BadRadiographError: it cannot be read, or is larger than `decode` takes.
        """
        if self.failure is not None:
            raise self.failure
        if self.name == STDIN:
            if sys.stdin is None:
                raise BadRadiographError("standard input is closed", "pipe an image into it")
            # One byte more than decode takes tells it that there is too much.
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        return read_bytes(Path(self.name))


def is_single(arguments: list[str]) -> bool:
    """Whether the arguments name one image, and not a folder, a pattern or a disc's index."""
    return len(arguments) == 1 and not (
        _is_pattern(arguments[0])
        or _is_folder(_at_home(arguments[0]))
        or _is_index(_at_home(arguments[0]))
    )


def expand(arguments: Iterable[str]) -> Iterator[Source]:
    """Every image of the arguments, in their order, folders recursively and sorted by name.

    Within a folder, names that start with a dot, and suffixes that are no image's, are passed over;
    a file without a suffix is one if it starts as DICOM does. A DICOMDIR stands for the images that
    it names. Links to folders are not followed. What cannot be opened becomes a source that fails when read.
    """
    for argument in arguments:
        path = _at_home(argument)
        if argument == STDIN:
            yield Source(STDIN)
        elif _is_pattern(argument):
            what = f"no file matches {argument!r}"
            yield from _some(_pattern(argument), argument, what, "check the pattern")
        elif _is_folder(path):
            kinds = ", ".join(sorted(SUFFIXES | DICOM_SUFFIXES))
            what = f"the folder {argument} holds no image"
            yield from _some(_folder(path), argument, what, f"name a folder with {kinds} files")
        elif _is_index(path):
            what = f"the index {argument} names no image"
            yield from _some(_index(path), argument, what, "name the folder that it is in")
        else:
            yield Source(str(path) if argument.startswith("~") else argument)


def _is_pattern(argument: str) -> bool:
    """A file whose own name has brackets is no pattern."""
    return glob.has_magic(argument) and not os.path.lexists(argument)


def _is_index(path: Path) -> bool:
    return path.name.upper() == "DICOMDIR" and not _is_folder(path)


def _is_folder(path: Path) -> bool:
    """False, too, where this user may not know; reading it will say so."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _at_home(argument: str) -> Path:
    """With ~ in front made the home folder, where there is such a user."""
    try:
        return Path(argument).expanduser()
    except RuntimeError:
        return Path(argument)


def _some(sources: Iterator[Source], argument: str, what: str, remedy: str) -> Iterator[Source]:
    """Pass the sources on, or a failing one where there are none."""
    empty = True
    for source in sources:
        empty = False
        yield source
    if empty:
        yield Source(argument, BadRadiographError(what, remedy))


def _pattern(pattern: str) -> Iterator[Source]:
    # Path.glob takes no absolute pattern.
    matches = glob.iglob(str(_at_home(pattern)), recursive=True)  # noqa: PTH207
    for name in sorted(matches):
        if not _is_folder(Path(name)):
            yield Source(name)


def _index(path: Path) -> Iterator[Source]:
    try:
        from pneumo_edge.dicom import directory

        for image in directory.images(path):
            yield Source(str(image))
    except BadRadiographError as err:
        yield Source(str(path), err)
    except ModuleNotFoundError:
        what = f"{path} is the index of DICOM files, and pydicom is not installed"
        yield Source(str(path), BadRadiographError(what, "run: pip install 'pneumo-edge[dicom]'"))


def _is_image(entry: os.DirEntry[str]) -> bool:
    """By suffix; DICOM files of a disc or an archive have none, or the last number of a UID."""
    suffix = Path(entry.name).suffix.lower()
    if suffix in SUFFIXES or suffix in DICOM_SUFFIXES:
        return not _is_folder(Path(entry.path))
    if entry.name.upper() == "DICOMDIR" or not (suffix == "" or suffix[1:].isdigit()):
        return False
    try:
        if not entry.is_file():  # reading a named pipe would wait for ever
            return False
        with Path(entry.path).open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _folder(folder: Path) -> Iterator[Source]:
    try:
        for entry in _sorted_entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _folder(Path(entry.path))
            elif _is_image(entry):
                yield Source(entry.path)
    except OSError as err:
        what = f"the folder {folder} cannot be read ({err.strerror})"
        yield Source(
            str(folder), BadRadiographError(what, "grant this user access, or leave it out")
        )


def _sorted_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The entries sorted by name, in memory that does not grow with the folder."""
    last = ""
    while True:
        with os.scandir(folder) as entries:
            later = (entry for entry in entries if entry.name > last and entry.name[0] != ".")
            batch = heapq.nsmallest(NAMES_AT_A_TIME, later, key=lambda entry: entry.name)
        yield from batch
        if len(batch) < NAMES_AT_A_TIME:
            return
        last = batch[-1].name
