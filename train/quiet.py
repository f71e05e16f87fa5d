"""TensorFlow's notices about the GPU that is not there, kept from the terminal."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""The environment variable that TensorFlow itself reads; whoever sets it is shown everything."""

_NOTICE = re.compile(rb"WARNING: All log messages before absl::|[IW]\d{4} \d|E\d{4} .*cuda")
"""Lines that absl prints before any program can tell it to be quiet, and no fault of the user's."""


@contextmanager
def notices_held() -> Iterator[None]:
    """Drop TensorFlow's start-up notices from file descriptor 2; every other line goes on to it.

    What TensorFlow wants to report as a failure it raises. Not for several threads at a time.
    """
    if LEVEL in os.environ:
        yield
        return
    os.environ[LEVEL] = "3"
    try:
        saved = os.dup(2)
    except OSError:  # the process was started without a standard error
        yield
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            for line in sink:
                if not _NOTICE.match(line):
                    os.write(2, line)


def import_keras() -> None:
    """Import Keras and its backend without their notices."""
    if LEVEL not in os.environ:
        # It takes every new member for a function that is needlessly traced again.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with notices_held():
        import keras  # noqa: F401
