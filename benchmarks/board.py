"""How hot a small board was while it was measured, and whether that slowed it down."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pneumo_edge.manifest import Struct

SYS = Path("/sys")

THROTTLING = {
    0: "under-voltage now",
    1: "clock capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since boot",
    17: "clock capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}
"""Bits of `vcgencmd get_throttled`. Source: Raspberry Pi documentation, "vcgencmd"."""


class Sample(Struct, frozen=True):
    """The board at one moment; None where it does not tell."""

    celsius: float | None
    """The hottest thermal zone."""
    mhz: float | None
    """The slowest core's clock."""
    governor: str | None
    throttling: list[str] | None
    """What the firmware complains of; empty when all is well, None where there is no vcgencmd."""


class Board(Struct, frozen=True):
    """The board over a run."""

    model: str | None
    """As its device tree names it, for instance Raspberry Pi 5 Model B Rev 1.0."""
    samples: list[Sample]
    """One before the first lap and one after each."""

    @property
    def throttled(self) -> bool:
        """Whether the firmware slowed it down, or its supply was too weak, while it was measured."""
        return any(word.endswith("now") for s in self.samples for word in s.throttling or [])


def model(sys: Path = SYS) -> str | None:
    """The board's name, None where there is no device tree."""
    return _read(sys / "firmware/devicetree/base/model")


def sample(sys: Path = SYS) -> Sample:
    """Look at the board once; takes a few milliseconds, and never in the middle of a lap."""
    heat = _numbers(sorted(sys.glob("class/thermal/thermal_zone*/temp")))
    clocks = _numbers(sorted(sys.glob("devices/system/cpu/cpu*/cpufreq/scaling_cur_freq")))
    return Sample(
        celsius=round(max(heat) / 1e3, 1) if heat else None,
        mhz=round(min(clocks) / 1e3, 1) if clocks else None,
        governor=_read(sys / "devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        throttling=throttling(),
    )


def throttling() -> list[str] | None:
    """What a Raspberry Pi's firmware complains of; None on any other machine."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    done = subprocess.run([program, "get_throttled"], capture_output=True, text=True, check=False)
    found = re.search(r"throttled=0x([0-9a-fA-F]+)", done.stdout)
    if done.returncode != 0 or found is None:
        return None
    bits = int(found.group(1), 16)
    return [words for bit, words in THROTTLING.items() if bits >> bit & 1]


def _numbers(files: Sequence[Path]) -> list[float]:
    texts = [_read(file) for file in files]
    return [float(text) for text in texts if text and text.lstrip("-").isdigit()]


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip("\0\n ") or None
    except OSError:  # a zone may be there and refuse
        return None
