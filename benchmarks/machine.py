"""The machine that a figure was measured on."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

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

    return Machine(
        cpu=_cpu_name(),
        isa=" ".join(_int8_features()),
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


def _cpuinfo(*keys: str) -> str:
    """The first value in Linux's list of processors under one of the keys, or an empty text."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for key in keys:
        match = re.search(rf"^{key}\s*: (.+)$", text, re.MULTILINE)
        if match:
            return match.group(1).strip()
    return ""


def _cpu_name() -> str:
    return _cpuinfo("model name", "Model", "Hardware") or platform.processor() or platform.machine()


def _int8_features() -> list[str]:
    wanted = {"avx2", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve"}
    return sorted(wanted & set(_cpuinfo("flags", "Features").split()))
