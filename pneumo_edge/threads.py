"""The processor cores that this process may use."""

from __future__ import annotations

import os

from pneumo_edge.errors import EngineError


def available() -> int:
    """Cores in the process's affinity mask where the system has one, else all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def checked(asked: int) -> int:
    """A number of threads that this machine can run at a time.

    Raises:
        EngineError: it is below 1 or above the cores here.
    """
    cores = available()
    if not 1 <= asked <= cores:
        raise EngineError(
            f"{asked} threads are not in the range 1 to {cores}, the cores here",
            "ask for fewer, or for none to use them all" if asked > cores else "ask for 1 or more",
        )
    return asked
