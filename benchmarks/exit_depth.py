"""What does early exit save, and does it ever change a label? Every film of a data set, by the deployed code.

Each film is scored by the whole ensemble and then, in the same process and at each operating point, by
`--early-exit` itself: the labels are compared, and so are the clocks. A replay of the same films by the
members' median times says the same without the machine's noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.machine import Machine, this_machine
from pneumo_edge import engines, plan, sources
from pneumo_edge.bundle import Bundle
from pneumo_edge.early_exit import replay, search_order
from pneumo_edge.ensemble import Decision, Ensemble, Votes, band_of
from pneumo_edge.errors import BadRadiographError, PneumoEdgeError
from pneumo_edge.held_out import read_held_out
from pneumo_edge.manifest import Struct
from pneumo_edge.screening import ready
from pneumo_edge.types import InputTensor, Interval

SCHEMA = 1


class Depths(Struct, frozen=True):
    """Early exit on the films of one split, at one operating point."""

    split: str
    operating_point: str
    threshold: float
    order: list[str]
    """In which the members were run."""
    films: int
    differ: list[str]
    """Films whose label is another than the whole ensemble's; any is a bug."""
    members_run: list[int]
    """How many films ran one member, two, three, four."""
    share: float
    """Mean cost over the whole ensemble's, by each member's median time in this run."""
    clocked: float
    """Time of the early exits over that of the whole ensemble, on the same films, as the clock had it."""
    least_share: float | None
    """`share` of the order that this run's costs give on the held-out films; None where the bundle has none."""
    least_order: list[str] | None
    """That order; what `pneumo-edge doctor --measure` would keep."""


class ExitReport(Struct, frozen=True):
    """What this benchmark found."""

    schema: int
    bundle: str
    engine: str
    threads: int
    machine: Machine
    members_ms: dict[str, float]
    """Median of each member over all films, milliseconds."""
    refused: dict[str, int]
    """Files that are no radiograph, by split."""
    interrupted: bool
    """Ctrl-C ended it; what is here was measured until then."""
    depths: list[Depths]

    @property
    def exact(self) -> bool:
        """Whether no label differs."""
        return not any(one.differ for one in self.depths)


@dataclass(slots=True)
class _Point:
    """One operating point, film by film."""

    name: str
    threshold: float
    order: tuple[str, ...]
    band: Interval | None = None
    """Where y is indeterminate, if the bundle says so."""
    labels: list[str] = field(default_factory=list)
    ran: list[int] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    def add(self, decision: Decision) -> None:
        self.labels.append(_answer(decision.label, decision.indeterminate))
        self.ran.append(len(decision.members))
        self.ms.append(sum(member.ms for member in decision.members))


@dataclass(slots=True)
class _Split:
    """The films of one split, in the order in which they were scored."""

    name: str
    points: list[_Point]
    films: list[str] = field(default_factory=list)
    votes: list[Votes] = field(default_factory=list)
    refused: int = 0

    def add(self, film: str, tensor: InputTensor, ensemble: Ensemble) -> None:
        """Score a film both ways; it counts once both are done."""
        votes = ensemble.score(tensor)
        found = [
            ensemble.decide(tensor, point.threshold, True, point.order, point.band)
            for point in self.points
        ]
        for point, decision in zip(self.points, found, strict=True):
            point.add(decision)
        self.films.append(film)
        self.votes.append(votes)


def measure(
    bundle: Bundle,
    folders: Sequence[Path],
    engine: engines.EngineName,
    threads: int,
    say: Callable[[str], None],
) -> ExitReport:
    """Score every film of the folders, with all members and by early exit.

    Args:
        bundle: What to run.
        folders: One for each split, named after it.
        engine: What to run it on.
        threads: Of each member.
        say: Gets a line at each film.

    Raises:
        PneumoEdgeError: there is no film, or the engine or the bundle fails.
    """
    machine = this_machine()
    points = list(bundle.manifest.operating_points.items())
    orders = {name: _order(bundle, engine, threads, name) for name, _ in points}
    ensemble = Ensemble(bundle, engines.choose(engine), threads)
    ensemble.load()
    splits = [
        _Split(f.name, [_Point(n, t, orders[n], band_of(bundle, n)) for n, t in points])
        for f in folders
    ]
    interrupted = False
    try:
        for split, folder in zip(splits, folders, strict=True):
            _score(split, folder, ensemble, say)
    except KeyboardInterrupt:
        interrupted = True
    names = [member.name for member in bundle.manifest.members]
    costs = _costs(splits, names)
    return ExitReport(
        schema=SCHEMA,
        bundle=bundle.id,
        engine=ensemble.engine.name,
        threads=threads,
        machine=machine,
        members_ms={n: round(ms, 3) for n, ms in zip(names, costs, strict=True)},
        refused={split.name: split.refused for split in splits if split.refused},
        interrupted=interrupted,
        depths=[one for split in splits if split.films for one in _depths(split, ensemble, costs)],
    )


def _order(bundle: Bundle, engine: engines.EngineName, threads: int, point: str) -> tuple[str, ...]:
    """That `infer --early-exit` takes here: what was measured on this machine, else the manifest's."""
    found = plan.make(bundle, engine, threads, films=1, early_exit=point).order
    return found or tuple(bundle.manifest.evaluation_order)


def _score(split: _Split, folder: Path, ensemble: Ensemble, say: Callable[[str], None]) -> None:
    for source in sources.expand([str(folder)]):
        try:
            tensor = ready(source).tensor
        except BadRadiographError:
            split.refused += 1
            continue
        split.add("/".join(Path(source.name).parts[-3:]), tensor, ensemble)
        say(f"{split.name}: {len(split.films)} films")


def _costs(splits: Sequence[_Split], names: Sequence[str]) -> list[float]:
    laps: dict[str, list[float]] = {name: [] for name in names}
    for split in splits:
        for votes in split.votes:
            for member in votes.members:
                laps[member.name].append(member.ms)
    if not all(laps.values()):
        folders = ", ".join(split.name for split in splits)
        raise PneumoEdgeError(f"no film in {folders} was scored", "name a folder with radiographs")
    return [median(laps[name]) for name in names]


def _answer(label: str, indeterminate: bool | None) -> str:
    """All that early exit has to give as the whole ensemble does."""
    return f"{label}, indeterminate" if indeterminate else label


def _depths(split: _Split, ensemble: Ensemble, costs: Sequence[float]) -> Iterator[Depths]:
    names = [member.name for member in ensemble.bundle.manifest.members]
    by_name = [{m.name: m.probability for m in votes.members} for votes in split.votes]
    probabilities = np.array([[p[name] for name in names] for p in by_name])
    y = np.array([votes.y for votes in split.votes])
    whole_ms = sum(member.ms for votes in split.votes for member in votes.members)
    held_out = read_held_out(ensemble.bundle)
    fusion = ensemble.fusion
    for point in split.points:
        band = point.band
        whole = [
            _answer(
                "pneumonia" if each > point.threshold else "normal",
                None if band is None else band.low <= each <= band.high,
            )
            for each in y
        ]
        order = [names.index(name) for name in point.order]
        play = replay(fusion, probabilities, costs, point.threshold, order, y, band)
        least: tuple[int, ...] | None = None
        share: float | None = None
        if held_out is not None:
            known = held_out.probabilities
            least = search_order(fusion, known, costs, point.threshold, band).members
            share = replay(fusion, probabilities, costs, point.threshold, least, y, band).share
        ran = [point.ran.count(depth) for depth in range(1, len(names) + 1)]
        if play.ran[1:] != tuple(ran):
            raise ValueError(f"early exit ran {ran} members, its replay {play.ran[1:]}")
        films = zip(split.films, point.labels, whole, strict=True)
        yield Depths(
            split=split.name,
            operating_point=point.name,
            threshold=point.threshold,
            order=list(point.order),
            films=len(split.films),
            differ=[film for film, label, expected in films if label != expected],
            members_run=ran,
            share=round(play.share, 4),
            clocked=round(sum(point.ms) / whole_ms, 4),
            least_share=None if share is None else round(share, 4),
            least_order=None if least is None else [names[column] for column in least],
        )
