"""The machine that a figure was measured on."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from pneumo_edge.cpu_features import processor

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Machine:
    """What an absolute time cannot be read without."""

    cpu: str
    """The processor's own name."""

    isa: str
    """Vector and matrix extensions that int8 kernels use, as the kernel lists them; empty where it does not."""

    cores: int
    """That this process may run on, hyper-threads counted."""

    memory_mib: int
    load_1min: float
    """Load average when the run began, other processes' included; above 0 something else was running."""

    os: str
    python: str


def this_machine() -> Machine:
    """Look at the machine that runs this."""
    import psutil

    found = processor()
    return Machine(
        cpu=found.name or platform.processor() or platform.machine(),
        isa=" ".join(feature.flag for feature in found.features),
        cores=len(available_cores()),
        memory_mib=psutil.virtual_memory().total // MIB,
        load_1min=round(psutil.getloadavg()[0], 2),
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
    )


def available_cores() -> list[int]:
    """The cores that this process may run on, as the scheduler numbers them."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def peak_mib() -> float:
    """The most memory that this process has had resident; where only getrusage tells, its parent's counts too."""
    try:
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        import resource  # not on Windows, which has no /proc either

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used / (MIB if platform.system() == "Darwin" else MIB // 1024)
    found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0.0
