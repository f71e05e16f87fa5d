"""How long does one image take from the shell, and how much memory?

The whole process is what a person or a script waits for: interpreter start, imports, loading and
hashing the bundle, building the interpreters, one image, the answer. Each lap is a fresh process, so
its peak memory is its own; files come from the page cache, except perhaps in the first lap.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.laps import Spread, spread
from benchmarks.machine import MIB, Machine, available_cores, this_machine
from pneumo_edge.errors import PneumoEdgeError

WALL_BAR_S = 0.8
"""The project's bar for one image, whole process, on two cores of a current x86 server."""

PEAK_BAR_MIB = 286
"""The project's bar for the peak resident memory of that process: 300 MB."""


@dataclass(frozen=True, slots=True)
class Lap:
    """One process."""

    wall_s: float
    cpu_s: float
    """Processor time, user and system, over all threads: what other processes on the machine change least."""
    peak_rss_mib: float
    """Peak resident set as the kernel accounts it to the process; never below this benchmark's own at its start."""
    finding: dict[str, object]
    """The JSON object that the process printed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of this benchmark says."""

    question: str
    command: str
    runs: int
    warmup: int
    first_wall_s: float
    """The first process of all, which warmed the page cache up."""
    wall_s: Spread
    cpu_s: Spread
    peak_rss_mib: Spread
    cores: int
    """That each process was allowed."""
    threads: int
    engine: str
    bundle: str
    machine: Machine
    wall_bar_s: float
    peak_bar_mib: float
    within_bars: bool
    """Whether p90 of the wall time and the worst peak memory are below the bars."""


_LAUNCHER = """
import os, sys, time
report, *command = sys.argv[1:]
start = time.perf_counter()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
wall_s = time.perf_counter() - start
code = os.waitstatus_to_exitcode(status)
with open(report, "w", encoding="utf-8") as out:
    out.write(f"[{code}, {wall_s!r}, {usage.ru_utime + usage.ru_stime!r}, {usage.ru_maxrss}]")
"""
"""Starts the command from a process that is small: on Linux a child's peak memory begins at its parent's."""


def run_once(command: Sequence[str]) -> Lap:
    """Run a command that prints one finding as JSON.

    Raises:
        PneumoEdgeError: the command fails, or prints anything else.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, complaint = Path(folder) / "report", Path(folder) / "complaint"
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), *command]
        with complaint.open("wb") as stderr:
            output = subprocess.run(
                launcher, stdout=subprocess.PIPE, stderr=stderr, check=True
            ).stdout
        code, wall_s, cpu_s, peak = json.loads(report.read_text(encoding="utf-8"))
        last = complaint.read_text(errors="replace").strip().splitlines()[-1:]
    if code != 0:
        raise PneumoEdgeError(
            f"{command[0]} exited {code}: {' '.join(last)}",
            "make the command work first",
        )
    unit = MIB if sys.platform == "darwin" else MIB // 1024  # ru_maxrss: bytes there, KiB elsewhere
    return Lap(wall_s, cpu_s, peak / unit, _finding(output, command))


def _finding(output: bytes, command: Sequence[str]) -> dict[str, object]:
    """The one JSON object in the output, bare or as the only item of an array."""
    try:
        found = json.loads(output)
    except ValueError:
        found = None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict) or "engine" not in found or "bundle" not in found:
        raise PneumoEdgeError(
            f"{command[0]} printed {output[:60]!r}, not one finding",
            "pass the pneumo-edge of this project",
        )
    return found


def measure(program: str, image: Path, runs: int, warmup: int, cores: int) -> Report:
    """Run the program on one image, again and again.

    Args:
        program: The installed console script.
        image: What it screens.
        runs: Timed processes, at least 1.
        warmup: Untimed ones before them, at least 1.
        cores: That each process is pinned to, and its threads.
    """
    allowed = available_cores()
    if not 1 <= cores <= len(allowed) or runs < 1 or warmup < 1:
        raise PneumoEdgeError(
            f"cannot run {runs} times after {warmup} on {cores} cores",
            f"ask for 1 run or more, 1 warm-up or more, and 1 to {len(allowed)} cores",
        )
    command = [program, "infer", str(image), "--json", "--threads", str(cores)]
    machine = this_machine()
    if sys.platform == "linux":
        os.sched_setaffinity(0, allowed[:cores])  # children inherit it
    try:
        first, *_ = [run_once(command) for _ in range(warmup)]
        laps = [run_once(command) for _ in range(runs)]
    finally:
        if sys.platform == "linux":
            os.sched_setaffinity(0, allowed)
    wall = spread([round(lap.wall_s, 4) for lap in laps])
    peak = spread([round(lap.peak_rss_mib, 1) for lap in laps])
    return Report(
        question="one image, the whole process, from the shell",
        command=" ".join([Path(program).name, *command[1:]]),
        runs=runs,
        warmup=warmup,
        first_wall_s=round(first.wall_s, 4),
        wall_s=wall,
        cpu_s=spread([round(lap.cpu_s, 4) for lap in laps]),
        peak_rss_mib=peak,
        cores=cores,
        threads=cores,
        engine=str(laps[0].finding["engine"]),
        bundle=str(laps[0].finding["bundle"]),
        machine=machine,
        wall_bar_s=WALL_BAR_S,
        peak_bar_mib=PEAK_BAR_MIB,
        within_bars=wall.p90 < WALL_BAR_S and peak.worst < PEAK_BAR_MIB,
    )


def find_program(named: Path | None) -> str:
    """The console script to measure: the one that was named, or the one beside this Python, or on the PATH.

    Raises:
        PneumoEdgeError: there is none.
    """
    beside = Path(sys.executable).with_name("pneumo-edge")
    found = shutil.which(named or beside) or (None if named else shutil.which("pneumo-edge"))
    if found is None:
        raise PneumoEdgeError(
            f"{named or beside} is no program", "install pneumo-edge, or pass --program"
        )
    return found


def table(report: Report) -> str:
    """The report for a person."""
    wall, cpu, peak, on = report.wall_s, report.cpu_s, report.peak_rss_mib, report.machine
    verdict = "within" if report.within_bars else "NOT within"
    return (
        f"{report.command}\n"
        f"{on.cpu} ({on.isa}), {report.cores} of {on.cores} cores, load {on.load_1min}, {on.python}, {on.os}\n"
        f"engine {report.engine}, {report.threads} threads, bundle {report.bundle}, "
        f"{report.runs} runs after {report.warmup}\n"
        f"{'':18}{'p50':>9}{'p90':>9}{'p99':>9}{'worst':>9}{'bar':>9}\n"
        f"{'wall, s':18}{wall.p50:9.3f}{wall.p90:9.3f}{wall.p99:9.3f}{wall.worst:9.3f}{report.wall_bar_s:9.3f}\n"
        f"{'processor, s':18}{cpu.p50:9.3f}{cpu.p90:9.3f}{cpu.p99:9.3f}{cpu.worst:9.3f}\n"
        f"{'peak memory, MiB':18}{peak.p50:9.1f}{peak.p90:9.1f}{peak.p99:9.1f}{peak.worst:9.1f}"
        f"{report.peak_bar_mib:9.1f}\n"
        f"first process {report.first_wall_s:.3f} s; spread (p90 - best) / p50 {wall.relative:.0%}; {verdict} the bars"
    )


def command(
    image: Annotated[Path | None, typer.Argument(help="Default: the normal sample.")] = None,
    program: Annotated[
        Path | None, typer.Option(help="The pneumo-edge to measure. Default: this one.")
    ] = None,
    runs: Annotated[int, typer.Option(help="Processes that are timed.")] = 20,
    warmup: Annotated[int, typer.Option(help="Processes before them that are not.")] = 2,
    cores: Annotated[int, typer.Option(help="Cores that each process is pinned to.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file too.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 when a bar is missed.")] = False,
) -> None:
    """Time `pneumo-edge infer IMAGE`, the whole process; the last line is JSON."""
    import pneumo_edge

    film = image or Path(pneumo_edge.__file__).parent / "samples" / "normal.png"
    report = measure(find_program(program), film, runs, warmup, min(cores, len(available_cores())))
    text = json.dumps(asdict(report))
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    print(table(report))
    print(text)
    if check and not report.within_bars:
        raise typer.Exit(1)
