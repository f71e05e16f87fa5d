"""`pneumo-edge bench exit`: early exit against the whole ensemble, as a table and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import results as files
from benchmarks.exit_depth import ExitReport, measure
from benchmarks.machine import available_cores
from benchmarks.pages import PageOption, put
from pneumo_edge import engines
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import PneumoEdgeError

SHARE_BAR = 0.55
"""The project's bar for the mean cost at each operating point, of the whole ensemble's."""

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""


def table(report: ExitReport) -> Table:
    """The report for a person."""
    shown = Table(title="early exit against the whole ensemble", title_justify="left")
    for name in ("split", "operating point"):
        shown.add_column(name)
    numbers = ("films", "labels that differ", "share of the cost", "clocked", "1, 2, 3, 4 members")
    for name in numbers:
        shown.add_column(name, justify="right")
    shown.add_column("order")
    for one in report.depths:
        parts = ", ".join(f"{count / one.films:.1%}" for count in one.members_run)
        cells = (str(one.films), str(len(one.differ)), f"{one.share:.1%}", f"{one.clocked:.1%}")
        shown.add_row(one.split, one.operating_point, *cells, parts, ", ".join(one.order))
    return shown


def markdown(report: ExitReport) -> list[str]:
    """The table for a page of the documentation."""
    lines = [
        f"Bundle `{report.bundle}`, engine `{report.engine}`, {report.machine.cpu} ({report.machine.isa}):",
        "",
        "| split | operating point | films | labels that differ | share of the cost | 1, 2, 3, 4 members | order |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in report.depths:
        ran = ", ".join(f"{count / one.films:.1%}" for count in one.members_run)
        lines.append(
            f"| {one.split} | {one.operating_point} | {one.films} | {len(one.differ)} | {one.share:.1%} | {ran} "
            f"| {', '.join(one.order)} |"
        )
    return lines


def remarks(report: ExitReport) -> Iterator[str]:
    """What the table has to be read with."""
    on = report.machine
    costs = ", ".join(f"{name} {ms:.2f} ms" for name, ms in report.members_ms.items())
    yield f"{on.cpu} ({on.isa}), {on.cores} cores, load {on.load_1min}, {on.python}, {on.os}"
    yield f"bundle {report.bundle}, engine {report.engine}, {report.threads} threads; medians: {costs}"
    for one in report.depths:
        better = one.least_share is not None and one.least_share < one.share - 0.0005
        if better and one.least_order:
            yield (
                f"{one.split}, {one.operating_point}: the order {', '.join(one.least_order)} would cost"
                f" {one.least_share:.1%}; pneumo-edge doctor --measure finds it."
            )
    for split, count in report.refused.items():
        yield f"{count} files of {split} are no radiograph."
    for one in report.depths:
        for film in one.differ:
            yield f"LABEL DIFFERS at {one.operating_point}: {film}"
    if report.interrupted:
        yield "Interrupted: only what was measured until Ctrl-C is here."


def command(
    data: Annotated[
        Path | None,
        typer.Option(help="Default: $PNEUMO_EDGE_DATA/kermany or ../shared/data/kermany."),
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option(help="Folders of it. Default: train and test.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Default: the one that ships.")] = None,
    engine: Annotated[str, typer.Option(help="As of `infer`.")] = "auto",
    threads: Annotated[int, typer.Option(help="Of each member.")] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the JSON here.")] = None,
    page: PageOption = None,
    check: Annotated[
        bool, typer.Option("--check", help=f"Exit 1 if a share is above {SHARE_BAR:.0%}.")
    ] = False,
) -> None:
    """Compare --early-exit with the whole ensemble on every film; the last line is JSON. Exit 1 if a label differs."""
    from train.dataset import kermany_folder

    root = kermany_folder(data)
    folders = [root / name for name in split or ("train", "test")]
    for folder in folders:
        if not folder.is_dir():
            raise PneumoEdgeError(
                f"there is no folder {folder}", "name others with --data, --split"
            )
    if engine not in (known := ["auto", *(kind.name for kind in engines.KINDS)]):
        raise typer.BadParameter(f"{engine!r} is none of: {', '.join(known)}")
    cores = len(available_cores())
    if not 1 <= threads <= cores:
        raise PneumoEdgeError(f"--threads is {threads}", f"ask for 1 to {cores}, the cores here")
    named: engines.EngineName = engine
    errors = Console(stderr=True)
    with errors.status("starting") as status:
        say = status.update if errors.is_terminal else lambda _: None
        report = measure(load_bundle(bundle), folders, named, threads, say)
    console = Console(width=None if Console().is_terminal else 170)
    console.print(table(report))
    for line in remarks(report):
        console.print(line, highlight=False, markup=False)
    if page is not None and not report.interrupted:
        put(page, "bench exit", markdown(report))
    if json_file is not None:
        files.save(msgspec.json.format(msgspec.json.encode(report)) + b"\n", json_file)
    print(json.dumps(msgspec.to_builtins(report)))
    if report.interrupted:
        raise typer.Exit(INTERRUPTED)
    if not report.exact or (check and any(one.share > SHARE_BAR for one in report.depths)):
        raise typer.Exit(1)
