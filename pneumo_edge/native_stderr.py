"""What C libraries write to standard error, kept from the terminal."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

_lock = threading.Lock()

_LIBRARY_LINES = (
    *(b"Corrupt JPEG", b"Premature", b"Invalid", b"Unsupported", b"libpng", b"TIFF", b"["),
    *(b"INFO:", b"WARNING:"),
)
"""How the lines of libjpeg, libpng, libtiff, OpenCV's own log and LiteRT begin."""


@contextmanager
def captured() -> Iterator[Callable[[], str]]:
    """Hold back file descriptor 2 while a library runs.

    libjpeg and libpng report damage only by printing it, and OpenCV then hands out a film that is
    grey from there on. One thread at a time; a line that another thread wrote meanwhile is passed
    on.

    Yields:
        A function that returns what has been written so far.
    """
    with _lock:
        try:
            saved = os.dup(2)
        except OSError:  # the process was started without a standard error
            yield str
            return
        with scratch() as sink:
            os.dup2(sink.fileno(), 2)

            def written() -> bytes:
                sink.seek(0)
                return sink.read(65536)

            try:
                yield lambda: written().decode(errors="replace")
            finally:
                os.dup2(saved, 2)
                os.close(saved)
                for line in written().splitlines(keepends=True):
                    if line.strip() and not line.startswith(_LIBRARY_LINES):
                        os.write(2, line)


@contextmanager
def silenced() -> Iterator[Callable[[], str]]:
    """Hold back standard output and standard error while a graphics driver loads; nothing is passed on.

    Such drivers print to both, and their lines have no common beginning. No other thread may have
    anything to print meanwhile.

    Yields:
        A function that returns what has been written so far.
    """
    with _lock, scratch() as sink:
        saved = {}
        for stream in (1, 2):
            try:
                saved[stream] = os.dup(stream)
            except OSError:  # the process was started without it
                continue
            os.dup2(sink.fileno(), stream)

        def written() -> str:
            _flush()
            sink.seek(0)
            return sink.read().decode(errors="replace")

        try:
            yield written
        finally:
            _flush()
            for stream, copy in saved.items():
                os.dup2(copy, stream)
                os.close(copy)


def _flush() -> None:
    """Make C write now what it would write to a file or a pipe when the process ends."""
    if os.name == "posix":
        import ctypes

        ctypes.CDLL(None).fflush(None)


def scratch() -> IO[bytes]:
    """A file in memory where the system has them: the box's disk may be read-only."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("codec-stderr"), "w+b")
    return tempfile.TemporaryFile()
