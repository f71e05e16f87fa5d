"""What was measured on this machine, kept in the user's cache folder."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Literal

import msgspec

from pneumo_edge import engines, threads
from pneumo_edge.bundle import Bundle
from pneumo_edge.cpu_features import processor
from pneumo_edge.errors import PneumoEdgeError

ENVIRONMENT = "PNEUMO_EDGE_CACHE"
"""Names another folder than the system's."""

VERSION = 1
"""Raised whenever what is measured, or what it means, changes."""

_GRAPHICS = ("VK_ICD_FILENAMES", "VK_DRIVER_FILES", "CUDA_VISIBLE_DEVICES")


Measured = Literal["cpu", "gpu", "tflite-runtime", "openvino"]


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a measurement is good for."""

    version: int
    bundle: str
    machine: str
    """The processor's name, its architecture and its int8 features."""
    cores: int
    graphics: list[str]
    """Device files and settings that decide which graphics card there is."""
    engines: dict[str, str]
    """Version by name."""


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to run the bundle, and what it took."""

    engine: Measured
    threads: int
    """Of each member that runs."""
    side_by_side: int
    """Members that run at a time."""
    load_ms: float
    """To the end of the first film, less one film."""
    film_ms: float
    """Median of a whole ensemble, milliseconds."""
    members_ms: dict[str, float]
    """Medians, milliseconds."""
    orders: dict[str, list[str]]
    """By operating point, the order of least expected cost with early exit; empty without held-out films."""
    y: list[float]
    """Of the samples."""
    card: str | None = None
    """The graphics card, as its driver calls it; it may be one in software."""


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An engine that is installed and that this machine cannot use."""

    engine: str
    what: str


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that was measured, once."""

    key: Key
    measured: str
    """ISO 8601, UTC."""
    trials: list[Trial]
    failures: list[Failure]

    def best(self, engine: engines.EngineName, films: int, early_exit: bool) -> Trial | None:
        """The trial that would be done first with so many films, loading included.

        Args:
            engine: auto, or the only one to look at.
            films: At least 1.
            early_exit: Members then run one after the other.

        Returns:
            None where that engine was not measured.
        """
        fit = [
            trial
            for trial in self.trials
            if engine in ("auto", trial.engine) and not (early_exit and trial.side_by_side > 1)
        ]
        return min(fit, key=lambda trial: trial.load_ms + films * trial.film_ms, default=None)


def folder() -> Path:
    """Where caches belong on this system; PNEUMO_EDGE_CACHE or XDG_CACHE_HOME may name another."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local")
    elif sys.platform == "darwin":
        base = Path("~/Library/Caches")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    try:
        return base.expanduser() / "pneumo-edge"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / "pneumo-edge"


def path(bundle: Bundle) -> Path:
    """The file of a bundle."""
    return folder() / f"choice-{bundle.id}.json"


def key(bundle: Bundle) -> Key:
    """Of this machine, as it is now."""
    found = processor()
    features = " ".join(feature.flag for feature in found.features)
    devices = [*Path("/dev/dri").glob("renderD*"), *Path("/dev").glob("nvidia[0-9]*")]
    settings = [f"{name}={os.environ[name]}" for name in _GRAPHICS if name in os.environ]
    versions = {kind.name: kind.version() for kind in engines.KINDS}
    return Key(
        version=VERSION,
        bundle=bundle.id,
        machine=f"{found.name}, {found.machine}, {features}",
        cores=threads.available(),
        graphics=sorted(map(str, devices)) + settings,
        engines={name: version for name, version in versions.items() if version is not None},
    )


def read(bundle: Bundle) -> Choice | None:
    """What was measured here with this bundle and these versions.

    Returns:
        None where there is nothing, or what there is is torn or was measured elsewhere.
    """
    try:
        stored = msgspec.json.decode(path(bundle).read_bytes(), type=Choice)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None
    return stored if stored.key == key(bundle) else None


def write(choice: Choice, bundle: Bundle) -> Path:
    """Keep a measurement: the file is written whole or not at all.

    Raises:
        PneumoEdgeError: the cache folder cannot be written to.
    """
    target = path(bundle)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.getpid()}")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(choice)) + b"\n")
        part.replace(target)
    except OSError as err:
        raise PneumoEdgeError(
            f"the measurement cannot be kept in {target.parent} ({err.strerror})",
            f"name a folder that you may write to with {ENVIRONMENT}",
        ) from None
    return target
