"""`pneumo-edge bench report`: every engine and every peer in one run, as a table, JSON and a page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from benchmarks import results as files
from benchmarks import session, table
from benchmarks.infer_process import find_program
from benchmarks.machine import available_cores
from benchmarks.results import Results
from pneumo_edge import sources
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.measure import SAMPLES

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Files to write beside the table."""

    json: Path | None
    html: Path | None

    def check(self) -> None:
        """Refuse what cannot be written now, and not after minutes of measuring.

        Raises:
            PneumoEdgeError: a folder is missing, or matplotlib for the page.
        """
        for path in (self.json, self.html):
            if path is not None and not path.absolute().parent.is_dir():
                raise PneumoEdgeError(f"there is no folder {path.parent}", "make it first")
        if self.html is not None:
            import matplotlib as _  # noqa: F401, ICN001  # absent: the console script names the extra

    def write(self, results: Results) -> None:
        """Write them."""
        if self.json is not None:
            files.write(results, self.json)
        if self.html is not None:
            from benchmarks import html

            files.save(html.render(results).encode(), self.html)


def _checked(only: list[str]) -> list[str]:
    known = session.candidates()
    for name in only:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of: {', '.join(known)}")
    return only


def _at_least(value: int, low: int, what: str) -> int:
    if value < low:
        raise PneumoEdgeError(f"{what} is {value}", f"ask for {low} or more")
    return value


def _films(folder: Path | None, limit: int) -> list[sources.Source]:
    if folder is None:
        return []
    if not folder.is_dir():
        raise PneumoEdgeError(f"--films {folder} is no folder", "name a folder of films")
    return list(islice(sources.expand([str(folder)]), limit))


def command(
    film: Annotated[Path | None, typer.Argument(help="What is timed. Default: a sample.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="Default: the one that ships.")] = None,
    films: Annotated[Path | None, typer.Option(help="Your own films, for parity.")] = None,
    limit: Annotated[int, typer.Option(help="Of those, at most so many.")] = 64,
    run: Annotated[
        Path | None, typer.Option(help="The float run of the bundle; else random float weights.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(callback=lambda v: _checked(v or []), help="Candidates.")
    ] = None,
    runs: Annotated[int, typer.Option(help="Timed laps of each candidate.")] = 20,
    warmup: Annotated[int, typer.Option(help="Laps before them.")] = 3,
    threads: Annotated[int, typer.Option(help="Of each candidate.")] = 1,
    throughput: Annotated[int, typer.Option(help="Films for throughput; 0: leave it out.")] = 24,
    program: Annotated[Path | None, typer.Option(help="Which pneumo-edge. Default: this.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the JSON here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
) -> None:
    """Measure every engine and every peer, in turn; the last line is JSON. Ctrl-C shows what there is."""
    outputs = Outputs(json_file, html)
    outputs.check()
    cores = len(available_cores())
    if not 1 <= threads <= cores:
        raise PneumoEdgeError(f"--threads is {threads}", f"ask for 1 to {cores}, the cores here")
    if run is not None and not (run / "fusion.json").is_file():
        raise PneumoEdgeError(f"--run {run} has no fusion.json", "name a run's folder")
    plan = session.Plan(
        bundle=load_bundle(bundle),
        film=sources.Source(str(film or SAMPLES / "normal.png")),
        films=_films(films, _at_least(limit, 1, "--limit")),
        run=run,
        only=only or [],
        runs=_at_least(runs, 1, "--runs"),
        warmup=_at_least(warmup, 0, "--warmup"),
        threads=threads,
        throughput_films=_at_least(throughput, 0, "--throughput"),
        program=find_program(program),
    )
    errors = Console(stderr=True)
    with errors.status("starting") as status:
        found = session.measure(plan, status.update if errors.is_terminal else lambda _: None)
    console = Console(width=None if Console().is_terminal else 170)
    table.show(found, console)
    outputs.write(found)
    print(json.dumps(msgspec.to_builtins(found)))
    if found.interrupted:
        raise typer.Exit(INTERRUPTED)
