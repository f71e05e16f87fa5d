"""How one run of `infer` uses the machine: which engine, how many cores where, members in which order."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from pneumo_edge import choice, engines, render, threads
from pneumo_edge.bundle import Bundle
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import EngineError, PneumoEdgeError
from pneumo_edge.fallback import Fallback
from pneumo_edge.screening import Decider

MEASURE_FROM = 1000
"""Films from which `auto` measures where nothing was measured: below, measuring takes longer than it saves."""

LANES = 2
"""Films scored at a time, where there are so many cores. Each member serves one at a time, and the slowest takes nearly
half of a film's time: a third lane would wait, and members of its own would cost 100 MB."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to open."""

    engine: engines.EngineName
    lanes: int
    """Films scored at a time, by members that they share."""
    threads: int
    """Of each member that runs."""
    side_by_side: int
    """Members of a film that run at a time."""
    order: tuple[str, ...] | None
    """Of early exit; None for the manifest's."""
    fallback: engines.EngineName | None
    """What to go on with when the engine fails; None where the user named it."""


def make(
    bundle: Bundle,
    engine: engines.EngineName,
    cores: int | None,
    films: int,
    early_exit: str | None = None,
) -> Plan:
    """Decide by what was measured on this machine; measure, if that pays.

    Args:
        bundle: What to run.
        engine: auto, or the one to take.
        cores: That may be used; None for all.
        films: How many there are, counted up to MEASURE_FROM.
        early_exit: The operating point; None without early exit.

    Raises:
        MissingExtraError: no engine is installed, or not the one that was named.
    """
    known = choice.read(bundle)
    if known is None and engine == "auto" and films >= MEASURE_FROM:
        known = _measured(bundle)
    trial = known.best(engine, films, early_exit is not None) if known else None
    name: engines.EngineName = trial.engine if trial else engines.kind(engine).name
    allowed = threads.checked(threads.available() if cores is None else cores)
    # With early exit every film wants the same member first.
    alone = films == 1 or name == "gpu" or early_exit is not None
    lanes = 1 if alone else min(allowed, LANES)
    per_member, side_by_side = allowed // lanes, 1
    if lanes == 1 and trial is not None and cores is None:
        per_member, side_by_side = trial.threads, trial.side_by_side
    order = trial.orders.get(early_exit) if trial and early_exit else None
    first = engines.kind("auto").name if engine == "auto" else name
    fallback = None if first == name else first
    return Plan(name, lanes, per_member, side_by_side, tuple(order) if order else None, fallback)


def _measured(bundle: Bundle) -> choice.Choice | None:
    from pneumo_edge import measure

    sys.stderr.write("measuring which engine is the fastest here, once\n")
    sys.stderr.flush()
    found = None
    try:
        found = measure.measure_all(bundle)
        choice.write(found, bundle)
    except PneumoEdgeError as err:  # the batch goes on without, or measures again the next time
        _warn(str(err))
    return found


def open_ensemble(
    plan: Plan, bundle: Bundle, explains: bool = False, watched: str | None = None
) -> Decider:
    """Open what was planned; the members are loaded with the first film.

    Args:
        plan: As `make` made it.
        bundle: What to run.
        explains: Give each member's map, too.
        watched: The member whose features the gate wants.

    Raises:
        BundleError: the head cannot be loaded, contradicts the manifest, or has no maps.
        EngineError: the engine cannot be imported, and the user named it.
        MissingExtraError: it is not installed.
    """
    try:
        engine = engines.choose(plan.engine)
    except PneumoEdgeError as err:
        if plan.fallback is None:
            raise
        engine = engines.choose(plan.fallback)
        _fell(err, engine.name)
    first = Ensemble(bundle, engine, plan.threads, plan.side_by_side, explains, watched)
    falls = plan.fallback if engine.name != plan.fallback else None
    if engine.name == "gpu":
        # Drivers print while they load, so nothing else may be under way.
        try:
            first.load()
        except EngineError as err:
            if falls is None:
                raise
            _fell(err, falls)
            return _second(plan, bundle, falls, explains, watched)()
    if falls is None:
        return first
    return Fallback(first, _second(plan, bundle, falls, explains, watched), _fell)


def _second(
    plan: Plan, bundle: Bundle, name: engines.EngineName, explains: bool, watched: str | None
) -> Callable[[], Ensemble]:
    cores = max(1, threads.available() // plan.lanes)
    return lambda: Ensemble(bundle, engines.choose(name), cores, explains=explains, watched=watched)


def _fell(err: EngineError | PneumoEdgeError, name: str) -> None:
    _warn(f"{err.what}; going on with the engine {name}")


def _warn(message: str) -> None:
    sys.stderr.write(render.warning_text(message) + "\n")
    sys.stderr.flush()
