"""A file without a name through which two processes hand each other bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge import native_stderr


@dataclass(frozen=True, slots=True)
class Exchange:
    """Holds one message at a time; each end says by other means when it is there.

    It is read and written at given offsets, since both ends share one position in the file. Mapping it
    into memory would be quicker, but then the other end could cut it short and so kill this one.
    """

    descriptor: int

    @classmethod
    def create(cls) -> Exchange:
        """A new one, in memory where the system has such files."""
        with native_stderr.scratch() as file:
            return cls(os.dup(file.fileno()))

    def put(self, data: bytes | NDArray[Any]) -> None:
        """Replace what lies there."""
        os.ftruncate(self.descriptor, 0)
        view, at = np.frombuffer(data, np.uint8), 0  # an array must be contiguous
        while at < len(view):
            at += os.pwrite(self.descriptor, view[at:].data, at)

    def take(self, size: int) -> bytes:
        """As many bytes, or fewer where there are no more."""
        parts, at = [], 0
        while at < size and (part := os.pread(self.descriptor, size - at, at)):
            parts.append(part)
            at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        os.close(self.descriptor)
