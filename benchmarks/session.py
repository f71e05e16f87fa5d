"""One full benchmark: every candidate in turn, lap by lap, then throughput and the user's own films."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from benchmarks import board, exports, throughput
from benchmarks.agreement import early_exit, parity
from benchmarks.fleet import Process
from benchmarks.laps import Spread, spread
from benchmarks.machine import this_machine
from benchmarks.peers import FLOAT, KERAS, PEERS
from benchmarks.results import SCHEMA, Absent, EarlyExit, Parity, Results, Throughput
from benchmarks.worker import Spec
from pneumo_edge import choice, engines
from pneumo_edge.bundle import Bundle
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BadRadiographError, PneumoEdgeError
from pneumo_edge.framing import framed, read_template
from pneumo_edge.screening import ready
from pneumo_edge.sources import Source
from pneumo_edge.types import InputTensor

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure."""

    bundle: Bundle
    film: Source
    """What every candidate is timed on."""
    films: Sequence[Source]
    """For parity; may be empty."""
    run: Path | None
    """The float run that the bundle came from; None for random weights, which take as long."""
    only: Sequence[str]
    """Candidates to measure; empty for all."""
    runs: int
    """Timed laps, at least 1."""
    warmup: int
    """Untimed laps before them, at least 0; each member has been called once before."""
    threads: int
    """Of every candidate."""
    throughput_films: int
    """0 to leave throughput out."""
    program: str
    """The pneumo-edge that throughput is measured with."""


@dataclass(slots=True)
class _Tally:
    """What there is so far; Ctrl-C leaves it as it is."""

    absent: list[Absent] = field(default_factory=list)
    running: list[Process] = field(default_factory=list)
    samples: list[board.Sample] = field(default_factory=list)
    throughput: list[Throughput] = field(default_factory=list)
    parity: list[Parity] = field(default_factory=list)
    early_exit: list[EarlyExit] = field(default_factory=list)
    refused: int = 0
    interrupted: bool = False


def candidates() -> list[str]:
    """Everything that can be asked for: pneumo-edge's engines, then the peers."""
    return [*(kind.name for kind in engines.KINDS), *PEERS]


def measure(plan: Plan, say: Say) -> Results:
    """Measure it all; Ctrl-C ends it early, with what there is.

    Args:
        plan: What to measure.
        say: Gets a line at each step.

    Raises:
        PneumoEdgeError: the film cannot be read, or nobody can take part.
    """
    machine = this_machine()
    decode_ms, prepare_ms, tensor = _preparation(plan)
    tally = _Tally()
    with ExitStack() as stack:
        try:
            _load(plan, tensor, tally, stack, say)
            _laps(plan, tensor, tally, say)
            _own_films(plan, tally, say)
            _throughput(plan, tally, say)
        except KeyboardInterrupt:
            tally.interrupted = True
            say("interrupted: what was measured until now follows")
        results = [process.result() for process in tally.running]
    chosen = choice.read(plan.bundle)
    best = chosen.best("auto", 1000, early_exit=False) if chosen else None
    return Results(
        schema=SCHEMA,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        bundle=plan.bundle.id,
        sizes=_sizes(plan.bundle),
        machine=machine,
        board=board.Board(board.model(), tally.samples),
        threads=plan.threads,
        runs=plan.runs,
        warmup=plan.warmup,
        interrupted=tally.interrupted,
        weights="of the run" if plan.run else "random",
        decode_ms=decode_ms,
        prepare_ms=prepare_ms,
        candidates=results,
        absent=tally.absent,
        chosen=best.engine if best else None,
        throughput=tally.throughput,
        refused=tally.refused,
        parity=tally.parity,
        early_exit=tally.early_exit,
    )


def _preparation(plan: Plan) -> tuple[Spread, Spread, InputTensor]:
    """Decode and prepare by themselves, which every candidate shares."""
    template = read_template(plan.bundle)
    decoding, preparing = [], []
    for _ in range(plan.runs + 1):
        film = ready(plan.film)
        start = time.perf_counter()
        seen, _ = framed(template, film.tensor)
        decoding.append(round(film.decode_ms, 4))
        preparing.append(round(film.prepare_ms + (time.perf_counter() - start) * 1e3, 4))
    return spread(decoding[1:]), spread(preparing[1:]), seen


def _wanted(plan: Plan, tally: _Tally) -> Iterator[str]:
    """The candidates that are installed; the others are noted."""
    for kind in engines.KINDS:
        if plan.only and kind.name not in plan.only:
            continue
        if kind.installed():
            yield kind.name
        else:
            tally.absent.append(Absent(kind.name, f"not installed; {kind.remedy}"))
    yield from (peer for peer in PEERS if not plan.only or peer in plan.only)


def _load(plan: Plan, tensor: InputTensor, tally: _Tally, stack: ExitStack, say: Say) -> None:
    wanted = list(_wanted(plan, tally))
    unable: dict[str, str] = {}
    if any(name in PEERS and name != KERAS for name in wanted):
        say("making the peers' forms of the members, kept for the next time")
        unable = exports.make(plan.bundle, plan.run)
    members = [member.name for member in plan.bundle.manifest.members]
    for name in wanted:
        if name in unable:
            tally.absent.append(Absent(name, unable[name]))
            continue
        say(f"loading {name}")
        spec = Spec(
            name=name,
            bundle=str(plan.bundle.path.absolute()),
            exports=str(exports.folder(plan.bundle, plan.run)),
            run=str(plan.run.absolute()) if plan.run else None,
            threads=plan.threads,
        )
        process = stack.enter_context(closing(Process(spec, peer=name in PEERS)))
        try:
            process.load(members, tensor)
        except PneumoEdgeError as err:
            tally.absent.append(Absent(name, err.what.removeprefix(f"{name}: ")))
            process.close()
        else:
            tally.running.append(process)
    if not tally.running:
        reasons = "; ".join(f"{one.name}: {one.reason}" for one in tally.absent)
        raise PneumoEdgeError(f"nothing can be measured here: {reasons}", "run pneumo-edge doctor")


def _laps(plan: Plan, tensor: InputTensor, tally: _Tally, say: Say) -> None:
    """Every candidate in turn, each lap starting with the next, so that no one always comes first."""
    tally.samples.append(board.sample())
    for lap in range(plan.warmup + plan.runs):
        first = lap % len(tally.running)
        for process in [*tally.running[first:], *tally.running[:first]]:
            process.score(tensor, keep=lap >= plan.warmup)
        tally.samples.append(board.sample())
        say(f"lap {lap + 1} of {plan.warmup + plan.runs}")
    members = [member.name for member in plan.bundle.manifest.members]
    for process in tally.running[:1]:  # the head is LiteRT's whatever runs the backbones
        for name in members:
            process.explain(name, plan.runs)


def _own_films(plan: Plan, tally: _Tally, say: Say) -> None:
    """Parity on the user's films, and early exit there or on the bundle's held-out films."""
    y: dict[str, list[float]] = {process.name: [] for process in tally.running}
    names: list[str] = []
    votes: list[list[float]] = []
    columns = [member.name for member in plan.bundle.manifest.members]
    first = tally.running[0]
    template = read_template(plan.bundle)
    for source in plan.films:
        try:
            tensor, _ = framed(template, ready(source).tensor)
        except BadRadiographError:
            tally.refused += 1
            continue
        names.append("/".join(Path(source.name).parts[-2:]))
        for process in tally.running:
            answer = process.score(tensor, keep=False)
            y[process.name].append(answer.y)
            if process is first:
                votes.append([answer.probabilities[column] for column in columns])
        say(f"film {len(names)} of {len(plan.films)}")
    if names:
        tally.parity = _compare(plan, names, y)
    costs = first.costs(columns)
    if costs is not None:
        fusion = Ensemble(plan.bundle, engines.choose("auto"), 1).fusion
        films = np.array(votes, np.float32) if votes else None
        tally.early_exit = early_exit(plan.bundle, fusion, costs, films)


def _compare(plan: Plan, names: Sequence[str], y: dict[str, list[float]]) -> list[Parity]:
    """Each int8 candidate with full precision where its weights are the bundle's, else with the first engine."""
    exact = [name for name in (KERAS, FLOAT) if name in y] if plan.run else []
    reference = exact[0] if exact else next(iter(y))
    random = set() if plan.run else {KERAS, FLOAT}
    thresholds = plan.bundle.manifest.operating_points
    return [
        parity(name, reference, names, y, thresholds)
        for name in y
        if name != reference and name not in random
    ]


def _throughput(plan: Plan, tally: _Tally, say: Say) -> None:
    for process in tally.running:
        if process.name in PEERS or not plan.throughput_films:
            continue
        say(f"throughput of {process.name}")
        try:
            one = throughput.measure(
                plan.program,
                Path(plan.film.name),
                process.name,
                plan.bundle.path.absolute(),
                plan.throughput_films,
            )
            tally.throughput.append(one)
        except PneumoEdgeError as err:
            tally.absent.append(Absent(f"throughput of {process.name}", err.what))


def _sizes(bundle: Bundle) -> dict[str, int]:
    """Bytes, by file."""
    sizes = {}
    for name in [member.file for member in bundle.manifest.members] + [bundle.manifest.head]:
        model = bundle.model(name)
        sizes[name] = len(model) if isinstance(model, bytes) else model.stat().st_size
    return sizes
