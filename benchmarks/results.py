"""What a full benchmark leaves behind: the JSON file, field by field."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.board import Board
from benchmarks.laps import Spread
from benchmarks.machine import Machine
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.manifest import Struct

SCHEMA = 1
"""Raised whenever a reader of the version before could misread a file."""


class MemberTime(Struct, frozen=True):
    """One member in one candidate."""

    load_ms: float
    """Reading the file and building what runs it."""
    first_ms: float
    """The first call, which packs weights or compiles kernels."""
    added_mib: float
    """Resident memory that the member added, its first call included."""
    ms: Spread | None
    """Backbone and classifier; None where the run was stopped before a lap."""
    explain_ms: Spread | None = None
    """The class-activation map, on top; only where the head has it."""


class Candidate(Struct, frozen=True):
    """One way to run the ensemble, in a process of its own."""

    name: str
    precision: str
    """int8 or float32."""
    peer: bool
    """Whether it is there to compare with, and no engine of pneumo-edge."""
    version: str
    start_ms: float
    """Importing the library and loading the head."""
    members: dict[str, MemberTime]
    ensemble_ms: Spread | None
    """Input tensor to y, one member after the other."""
    peak_mib: float
    """Most memory that its process had, all members loaded."""
    processor_ms: Spread | None = None
    """As `ensemble_ms`, in processor time over all threads, which other processes on the machine change least."""
    card: str | None = None
    """The graphics card that it ran on, as the driver calls it."""


class Absent(Struct, frozen=True):
    """A candidate that could not take part."""

    name: str
    reason: str


class Throughput(Struct, frozen=True):
    """`pneumo-edge infer FOLDER` on every core, loading left out."""

    engine: str
    films: int
    films_per_s: float
    peak_mib: float
    """The most that was resident when a line came."""


class Flip(Struct, frozen=True):
    """A film whose label differs."""

    film: str
    operating_point: str
    reference: float
    """y of what it was compared with."""
    y: float


class Parity(Struct, frozen=True):
    """How far one candidate's y lies from another's, on the user's own films."""

    candidate: str
    reference: str
    films: int
    mean_abs_dy: float
    worst_abs_dy: float
    flips: dict[str, int]
    """By operating point."""
    flipped: list[Flip]


class EarlyExit(Struct, frozen=True):
    """What early exit would save."""

    operating_point: str
    order: list[str]
    """Of least mean cost on the bundle's held-out films; the manifest's where it has none."""
    films: int
    source: str
    """Which films the share is over."""
    share: float
    """Mean cost over the cost of the whole ensemble, with this run's costs of the members."""
    members_run: list[int]
    """How many films needed one member, two, three, four."""


class Results(Struct, frozen=True):
    """A full benchmark. All times are milliseconds."""

    schema: int
    created: str
    """ISO 8601, UTC."""
    bundle: str
    sizes: dict[str, int]
    """Bytes, by file of the bundle."""
    machine: Machine
    board: Board
    threads: int
    runs: int
    warmup: int
    interrupted: bool
    """Ctrl-C ended it; what was measured until then is here."""
    weights: str
    """Of the full-precision peers: the run's, or random ones, which take as long."""
    decode_ms: Spread
    prepare_ms: Spread
    candidates: list[Candidate]
    absent: list[Absent]
    chosen: str | None
    """The engine that `auto` takes on this machine, by its own measurement; None where it has none."""
    throughput: list[Throughput]
    refused: int
    """Of the user's films, those that could not be read."""
    parity: list[Parity]
    early_exit: list[EarlyExit]


def read(path: Path) -> Results:
    """A file that `bench report` wrote.

    Raises:
        PneumoEdgeError: it is missing, or no such file, or of another version.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Results)
    except OSError as err:
        raise PneumoEdgeError(f"{path} cannot be read ({err.strerror})", "name a file") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise PneumoEdgeError(
            f"{path} is no benchmark of this version ({err})",
            "make one with: pneumo-edge bench report --json FILE",
        ) from None
    if found.schema != SCHEMA:
        raise PneumoEdgeError(
            f"{path} has schema version {found.schema}, this version reads {SCHEMA}",
            "make it again with this version",
        )
    return found


def write(results: Results, path: Path) -> None:
    """Write the JSON.

    Raises:
        PneumoEdgeError: it cannot be written.
    """
    save(msgspec.json.format(msgspec.json.encode(results)) + b"\n", path)


def save(content: bytes, path: Path) -> None:
    """Write a file.

    Raises:
        PneumoEdgeError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as err:
        raise PneumoEdgeError(
            f"cannot write {path} ({err.strerror})", "name another file"
        ) from None
