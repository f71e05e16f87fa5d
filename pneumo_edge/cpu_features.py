"""The processor features that decide how fast int8 convolutions run."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Feature:
    """One instruction set extension."""

    flag: str
    """As /proc/cpuinfo spells it."""

    name: str
    helps: str
    """What it does for int8 inference."""


X86 = (
    Feature("amx_int8", "AMX-INT8", "multiplies int8 tiles"),
    Feature("avx512_vnni", "AVX512-VNNI", "int8 dot products, 64 at a time"),
    Feature("avx_vnni", "AVX-VNNI", "int8 dot products, 32 at a time"),
    Feature("avx512bw", "AVX512BW", "int8 as pairs of multiplications"),
    Feature("avx2", "AVX2", "int8 as pairs of multiplications"),
)
ARM = (
    Feature("i8mm", "I8MM", "multiplies int8 matrices"),
    Feature("asimddp", "DotProd", "int8 dot products"),
    Feature("asimd", "NEON", "int8 as pairs of multiplications"),
)
"""Fastest first; XNNPACK takes the first that it finds."""

DOT_PRODUCTS = frozenset({"amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp"})


@dataclass(frozen=True, slots=True)
class Processor:
    """What this machine has."""

    machine: str
    """As uname names it, for instance x86_64 or aarch64."""

    known: bool
    """Whether the system says which features there are; only Linux does, in /proc/cpuinfo."""

    features: tuple[Feature, ...]
    """Those of X86 or ARM that are present, fastest first."""

    name: str
    """The processor's or the board's own name; empty where the system does not say."""

    @property
    def has_dot_products(self) -> bool:
        """Whether int8 is several times faster than float here, and not just smaller."""
        return any(feature.flag in DOT_PRODUCTS for feature in self.features)


def processor(cpuinfo: Path = CPUINFO) -> Processor:
    """Read the features of this machine."""
    machine = platform.machine()
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Processor(machine, known=False, features=(), name=platform.processor())
    flags: set[str] = set()
    names: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:  # x86, Arm
            flags.update(value.split())
        names.setdefault(key.strip(), value.strip())
    found = tuple(feature for feature in (*X86, *ARM) if feature.flag in flags)
    name = names.get("model name") or names.get("Model") or names.get("Hardware") or ""
    return Processor(machine, known=bool(flags), features=found, name=name)
