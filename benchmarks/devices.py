"""How fast is it elsewhere? The reports that people shared, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import results
from benchmarks.laps import Spread
from benchmarks.pages import PageOption, put
from benchmarks.results import Candidate, Results
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.manifest import MEMBER_NAMES


def read_all(folder: Path) -> dict[str, Results]:
    """The reports in a folder, by device: the file's name without its ending.

    Raises:
        PneumoEdgeError: there are none, or one is no report.
    """
    found = {path.stem: results.read(path) for path in sorted(folder.glob("*.json"))}
    if not found:
        raise PneumoEdgeError(
            f"{folder} has no report", "put one there: pneumo-edge bench report --json FILE"
        )
    return found


def table(reports: dict[str, Results], link: str) -> list[str]:
    """A Markdown table of all candidates, and what each device is.

    Args:
        reports: By device.
        link: Where the JSON files lie, from the page that gets the table.
    """
    heads = ["one film, ms (p50)", "", *MEMBER_NAMES, "ensemble", "p90", "films/s", "MiB"]
    lines = [f"| {' | '.join(heads)} |", f"| --- | --- |{' ---: |' * (len(heads) - 2)}"]
    for device, report in reports.items():
        lines += [
            f"| {' | '.join([device, one.name, *_figures(report, one)])} |"
            for one in report.candidates
        ]
    return [*lines, "", *(_told(*one, link) for one in reports.items())]


def _figures(report: Results, one: Candidate) -> Iterator[str]:
    for name in MEMBER_NAMES:
        yield _ms(one.members[name].ms if name in one.members else None)
    yield _ms(one.ensemble_ms)
    yield f"{one.ensemble_ms.p90:.1f}" if one.ensemble_ms else ""
    yield next(
        (f"{flow.films_per_s:.0f}" for flow in report.throughput if flow.engine == one.name), ""
    )
    yield f"{one.peak_mib:.0f}"


def _ms(spread: Spread | None) -> str:
    return f"{spread.p50:.1f}" if spread else ""


def _told(device: str, report: Results, link: str) -> str:
    machine = report.machine
    parts = [report.board.model or machine.cpu, f"{machine.cores} cores"]
    parts += [f"`{one.name}` on {one.card}" for one in report.candidates if one.card]
    threads = "one thread" if report.threads == 1 else f"{report.threads} threads"
    parts += [f"{threads}, {report.runs} laps", f"bundle `{report.bundle}`", report.created[:10]]
    return f"- [{device}]({link}/{device}.json): {', '.join(parts)}."


def command(
    folder: Annotated[Path, typer.Argument(help="Of JSON files that bench report wrote.")] = Path(
        "docs/devices"
    ),
    page: PageOption = None,
) -> None:
    """Put the reports of several devices into one Markdown table."""
    lines = table(read_all(folder), folder.name)
    print("\n".join(lines))
    if page is not None:
        put(page, "bench devices", lines)
