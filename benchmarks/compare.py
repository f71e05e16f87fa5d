"""Two benchmarks side by side: two devices, or two bundles on one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import results as files
from benchmarks.laps import Spread
from benchmarks.results import Results
from benchmarks.table import heading


@dataclass(frozen=True, slots=True)
class Row:
    """One figure in both files."""

    what: str
    a: float
    b: float
    apart: bool | None
    """Whether no lap of one is as fast as any of the other's from best to p90; None for a single figure."""

    @property
    def ratio(self) -> float:
        """B over A."""
        return self.b / self.a


def rows(a: Results, b: Results) -> Iterator[Row]:
    """Every figure that both have: times, memory, throughput."""
    theirs = {one.name: one for one in b.candidates}
    for one in a.candidates:
        other = theirs.get(one.name)
        if other is None:
            continue
        for name, member in one.members.items():
            if member.ms and name in other.members and (ms := other.members[name].ms):
                yield _spreads(f"{one.name}, {name}, ms", member.ms, ms)
        if one.ensemble_ms and other.ensemble_ms:
            yield _spreads(f"{one.name}, ensemble, ms", one.ensemble_ms, other.ensemble_ms)
        yield Row(f"{one.name}, peak MiB", one.peak_mib, other.peak_mib, None)
    speeds = {one.engine: one.films_per_s for one in b.throughput}
    for flow in a.throughput:
        if flow.engine in speeds:
            yield Row(f"{flow.engine}, films/s", flow.films_per_s, speeds[flow.engine], None)
    sizes = sum(a.sizes.values()) / 1e6, sum(b.sizes.values()) / 1e6
    yield Row("models, MB", *sizes, None)


def _spreads(what: str, a: Spread, b: Spread) -> Row:
    return Row(what, a.p50, b.p50, a.p90 < b.best or b.p90 < a.best)


def command(
    a: Annotated[Path, typer.Argument(help="JSON of `bench report`.")],
    b: Annotated[Path, typer.Argument(help="Another.")],
) -> None:
    """Compare two reports: each figure of both, and B over A."""
    first, second = files.read(a), files.read(b)
    console = Console(width=None if Console().is_terminal else 150)
    for letter, one in (("A", first), ("B", second)):
        console.print(f"{letter}: {heading(one)}", highlight=False)
    table = Table(caption="~: the laps overlap, so the difference may be noise")
    table.add_column("p50")
    for column in ("A", "B", "B / A"):
        table.add_column(column, justify="right")
    for row in rows(first, second):
        mark = " ~" if row.apart is False else ""
        table.add_row(row.what, f"{row.a:.2f}", f"{row.b:.2f}", f"{row.ratio:.2f}{mark}")
    console.print(table)
