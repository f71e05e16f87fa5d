"""Measure once which engine runs a bundle fastest on this machine.

Each engine is tried in a process of its own: a graphics driver may crash or hang, and what an engine loads
should not stay in the memory of the process that screens.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import cast

import msgspec

from pneumo_edge import choice, engines, threads
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.choice import Choice, Failure, Trial
from pneumo_edge.early_exit import search_order
from pneumo_edge.ensemble import Ensemble, band_of
from pneumo_edge.errors import EngineError, PneumoEdgeError
from pneumo_edge.held_out import read_held_out
from pneumo_edge.screening import ready
from pneumo_edge.sources import Source

SAMPLES = Path(__file__).parent / "samples"
"""Generated radiographs, nobody's, named after the label that the ensemble has to give them."""

FIRST_LIMIT_S = 300.0
"""For the first engine, which loads a cold disk."""
LIMIT_S = 60.0
"""For each other: one that takes longer is not the one to choose."""
APART = 0.1
"""How far y of a sample may lie from the first engine's. int8 rounds differently by engine; a broken driver
answers something else altogether."""
_LAPS, _LAPS_S = 9, 2.0


def measure_all(bundle: Bundle) -> Choice:
    """Try every engine that is installed, in every layout that the cores allow.

    Raises:
        EngineError: none of them works.
    """
    trials: list[Trial] = []
    failures: list[Failure] = []
    for engine, cores, side_by_side in layouts(threads.available()):
        if any(failure.engine == engine for failure in failures):
            continue
        try:
            limit = LIMIT_S if trials else FIRST_LIMIT_S
            trial = _apart(bundle, engine, cores, side_by_side, limit)
            _compare(trial, trials)
            trials.append(trial)
        except EngineError as err:
            failures.append(Failure(engine, err.what))
    if not trials:
        what = "; ".join(failure.what for failure in failures) or "no engine is installed"
        raise EngineError(f"no engine works here: {what}", f"run: {engines.KINDS[0].remedy}")
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return Choice(choice.key(bundle), now, trials, failures)


def layouts(cores: int) -> Iterator[tuple[engines.EngineName, int, int]]:
    """(engine, threads, members at a time): all cores for one member, or shared by two or four."""
    for kind in engines.KINDS:
        if kind.installed():
            sides = [1] if kind.name == "gpu" else [s for s in (1, 2, 4) if s <= cores]
            yield from ((kind.name, max(1, cores // side), side) for side in sides)


def _apart(
    bundle: Bundle, engine: engines.EngineName, cores: int, side_by_side: int, limit_s: float
) -> Trial:
    """`trial` in another process."""
    arguments = [engine, str(cores), str(side_by_side), str(bundle.path.absolute())]
    command = [sys.executable, "-m", "pneumo_edge.measure", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise EngineError(f"{engine} took more than {limit_s:.0f} s", "use another") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = said[0] if said else f"its process ended with {done.returncode}"
        raise EngineError(f"{engine} failed: {reason}", "use another")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Trial)


def _compare(found: Trial, before: list[Trial]) -> None:
    """Refuse an engine that answers something else than the first one."""
    for ours, theirs in zip(found.y, before[0].y if before else found.y, strict=True):
        if abs(ours - theirs) > APART:
            raise EngineError(
                f"{found.engine} answers y = {ours:.3f} where {before[0].engine} answers {theirs:.3f}",
                "use another",
            )


def trial(bundle: Bundle, engine: engines.EngineName, cores: int, side_by_side: int) -> Trial:
    """Load a bundle on an engine in this process and run it for a while.

    Raises:
        PneumoEdgeError: it cannot be loaded or run.
    """
    films = [ready(Source(str(SAMPLES / f"{name}.png"))) for name in ("normal", "pneumonia")]
    start = time.perf_counter()
    ensemble = Ensemble(bundle, engines.choose(engine), cores, side_by_side)
    y = [ensemble.score(films[0].tensor).y]
    first_s = time.perf_counter() - start
    y.append(ensemble.score(films[1].tensor).y)
    laps: list[float] = []
    members: dict[str, list[float]] = {name: [] for name in bundle.manifest.evaluation_order}
    start = time.perf_counter()
    while len(laps) < _LAPS and (not laps or time.perf_counter() - start < _LAPS_S):
        lap = time.perf_counter()
        votes = ensemble.score(films[len(laps) % 2].tensor)
        laps.append((time.perf_counter() - lap) * 1e3)
        for vote in votes.members:
            members[vote.name].append(vote.ms)
    costs = {name: median(every) for name, every in members.items()}
    return Trial(
        engine=cast("choice.Measured", engine),
        threads=cores,
        side_by_side=side_by_side,
        load_ms=max(0.0, first_s * 1e3 - median(laps)),
        film_ms=median(laps),
        members_ms=costs,
        orders=_orders(bundle, ensemble, costs) if side_by_side == 1 else {},
        y=y,
        card=ensemble.engine.card,
    )


def _orders(bundle: Bundle, ensemble: Ensemble, costs: dict[str, float]) -> dict[str, list[str]]:
    """By operating point, the order of least expected cost on the bundle's held-out films."""
    films = read_held_out(bundle)
    if films is None:
        return {}
    names = [member.name for member in bundle.manifest.members]
    paid = [costs[name] for name in names]
    return {
        point: [
            names[column]
            for column in search_order(
                ensemble.fusion, films.probabilities, paid, threshold, band_of(bundle, point)
            ).members
        ]
        for point, threshold in bundle.manifest.operating_points.items()
    }


def _main(engine: str, cores: str, side_by_side: str, bundle: str) -> None:
    found = trial(
        load_bundle(Path(bundle)), cast("engines.EngineName", engine), int(cores), int(side_by_side)
    )
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except PneumoEdgeError as err:
        sys.exit(err.what)
