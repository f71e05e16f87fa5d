"""How long does each member take, once the bundle is loaded?

One process loads the bundle, scores one film `warmup + runs` times, and reports each member by itself and
the ensemble as a whole: what a batch or the kiosk pays for each film after the start-up.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.laps import Spread, spread
from benchmarks.machine import MIB, Machine, available_cores, this_machine
from pneumo_edge.bundle import load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.prepare import prepare


@dataclass(frozen=True, slots=True)
class Report:
    """What a run of this benchmark says; all times in milliseconds."""

    question: str
    runs: int
    warmup: int
    load_ms: float
    """Reading and hashing the bundle, and building its interpreters."""
    first_ms: float
    """The first film of all: the kernels pack their weights on it."""
    prepare_ms: Spread
    """Decoded film to input tensor."""
    members_ms: dict[str, Spread]
    """Backbone and classifier, by member."""
    ensemble_ms: Spread
    """Input tensor to y."""
    rss_mib: float
    """Resident memory of this process after the last film."""
    threads: int
    engine: str
    bundle: str
    machine: Machine


def measure(bundle: Path | None, image: Path, runs: int, warmup: int, threads: int) -> Report:
    """Load the bundle and score one film again and again.

    Args:
        bundle: A folder; None for the default bundle.
        image: The film.
        runs: Timed scores, at least 1.
        warmup: Untimed ones before them, at least 1; the first is reported by itself.
        threads: Of the engine.
    """
    import psutil

    if runs < 1 or warmup < 1 or threads < 1:
        raise PneumoEdgeError(
            f"cannot run {runs} times after {warmup} on {threads} threads",
            "ask for 1 or more of each",
        )
    machine = this_machine()
    start = time.perf_counter()
    engine = choose("auto")
    ensemble = Ensemble(load_bundle(bundle), engine, threads)
    load_ms = (time.perf_counter() - start) * 1e3
    film = decode_file(image)
    laps: dict[str, list[float]] = defaultdict(list)
    for _ in range(warmup + runs):
        start = time.perf_counter()
        tensor = prepare(film)
        prepared = time.perf_counter()
        votes = ensemble.score(tensor)
        laps["ensemble"].append((time.perf_counter() - prepared) * 1e3)
        laps["prepare"].append((prepared - start) * 1e3)
        for member in votes.members:
            laps[member.name].append(member.ms)
    timed = {name: spread([round(ms, 3) for ms in every[warmup:]]) for name, every in laps.items()}
    return Report(
        question="one film in a process that has the bundle loaded",
        runs=runs,
        warmup=warmup,
        load_ms=round(load_ms, 1),
        first_ms=round(laps["ensemble"][0], 1),
        prepare_ms=timed.pop("prepare"),
        ensemble_ms=timed.pop("ensemble"),
        members_ms=timed,
        rss_mib=round(psutil.Process().memory_info().rss / MIB, 1),
        threads=threads,
        engine=engine.name,
        bundle=ensemble.bundle.id,
        machine=machine,
    )


def table(report: Report) -> str:
    """The report for a person."""
    on = report.machine
    rows = {"prepare": report.prepare_ms, **report.members_ms, "ensemble": report.ensemble_ms}
    lines = [
        f"{on.cpu} ({on.isa}), {on.cores} cores, load {on.load_1min}, {on.python}, {on.os}",
        f"engine {report.engine}, {report.threads} threads, bundle {report.bundle}",
        f"{report.runs} runs after {report.warmup}",
        f"{'ms':12}{'p50':>9}{'p90':>9}{'p99':>9}{'worst':>9}{'spread':>9}",
        *(
            f"{name:12}{ms.p50:9.2f}{ms.p90:9.2f}{ms.p99:9.2f}{ms.worst:9.2f}{ms.relative:9.0%}"
            for name, ms in rows.items()
        ),
        f"load {report.load_ms:.0f} ms, first film {report.first_ms:.0f} ms, memory {report.rss_mib:.0f} MiB",
    ]
    return "\n".join(lines)


def command(
    image: Annotated[Path | None, typer.Argument(help="Default: the normal sample.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Default: the one that ships.")] = None,
    runs: Annotated[int, typer.Option(help="Films that are timed.")] = 50,
    warmup: Annotated[int, typer.Option(help="Films before them that are not.")] = 5,
    threads: Annotated[int | None, typer.Option(help="Default: one for each core.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to this file too.")] = None,
) -> None:
    """Time each member in one process; the last line is JSON."""
    import pneumo_edge

    film = image or Path(pneumo_edge.__file__).parent / "samples" / "normal.png"
    report = measure(bundle, film, runs, warmup, threads or len(available_cores()))
    text = json.dumps(asdict(report))
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    print(table(report))
    print(text)
