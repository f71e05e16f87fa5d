"""Does the gate let chest films through, refuse what is none, and notice how a film lies?

The bars: at least 99 % of the test films and 97 % of adults from another hospital are not refused, at least 95 % of
pictures that are no chest film are, and at least 95 % of rotated and of inverted films are noticed.
The last line is JSON.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.gate_folders import Asked, Changed, Folder, Share, ask, change, films
from benchmarks.laps import laps_ms
from benchmarks.machine import this_machine
from pneumo_edge import threads
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import DatasetError, PneumoEdgeError
from pneumo_edge.prepare import prepare

CHEST = {"kermany/test": 0.99, "external/nih_adult": 0.97}
"""Share of films that must not be refused."""
OTHERS = "ood"
ENLARGED = " enlarged"
"""Ends the name of a folder whose small pictures were enlarged."""
REFUSED = 0.95
NOTICED = 0.95
BARRED = ("rotated by 90 degrees", "rotated by 180 degrees", "rotated by 270 degrees", "inverted")


def bars(
    folders: Sequence[Folder], changed: Sequence[Changed]
) -> list[tuple[str, Share, float, bool]]:
    """What was asked for, the share found, the share wanted, and whether it was reached."""
    rows = []
    for name, least in CHEST.items():
        (row,) = (folder for folder in folders if folder.name == name)
        passed = Share.of(row.refused.n - row.refused.count, row.refused.n)
        rows.append((f"{name} not refused", passed, least, passed.value >= least))
    pictures = [folder for folder in folders if folder.name.startswith(f"{OTHERS}/")]
    larger = {f.name.removesuffix(ENLARGED): f for f in pictures if f.name.endswith(ENLARGED)}
    as_they_are = [f for f in pictures if not f.name.endswith(ENLARGED)]
    for what, own in (
        ("", as_they_are),
        (", the small ones enlarged", [larger.get(f.name, f) for f in as_they_are]),
    ):
        share = Share.of(sum(f.refused.count for f in own), sum(f.refused.n for f in own))
        rows.append((f"{OTHERS} refused{what}", share, REFUSED, share.value >= REFUSED))
    for one in changed:
        if one.change in BARRED:
            reached = one.noticed.value >= NOTICED
            rows.append((f"{one.name} {one.change}: noticed", one.noticed, NOTICED, reached))
    return rows


def table(folders: Sequence[Folder], changed: Sequence[Changed]) -> list[str]:
    """Markdown."""
    lines = ["| films | n | refused | warned | corrected |", "| --- | --- | --- | --- | --- |"]
    for row in folders:
        unread = f", {row.unread} of them unread" if row.unread else ""
        lines.append(
            f"| {row.name} | {row.refused.n} | {_cell(row.refused)}{unread} | {_cell(row.warned)} "
            f"| {row.corrected.count} |"
        )
    lines += ["", "| films | change | n | noticed | set right | set wrong |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.name} | {row.change} | {row.noticed.n} | {_cell(row.noticed)} "
        f"| {_cell(row.corrected) if row.corrected.count else '-'} | {row.wrong} |"
        for row in changed
    ]
    return lines


def _cell(share: Share) -> str:
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def _cost(asked: Asked, data: Path, runs: int) -> dict[str, object]:
    """Milliseconds of what the gate adds to a film: signals and pose; the member runs anyhow."""
    film = next(f for f in films(data / next(iter(CHEST))) if f is not None)
    tensor = prepare(film)
    laps = laps_ms(lambda: asked.gate.look(film, tensor), runs, 3, time.perf_counter_ns)
    return asdict(laps)


def command(
    data: Annotated[
        Path,
        typer.Option(help="The folder with kermany, external and ood.", envvar="PNEUMO_EDGE_DATA"),
    ] = Path("../shared/data"),
    bundle: Annotated[Path | None, typer.Option(help="Without: the one that ships.")] = None,
    films_changed: Annotated[
        int, typer.Option(min=20, help="Films of a folder to turn, invert, mirror and crop.")
    ] = 10_000,
    runs: Annotated[int, typer.Option(min=1, help="Laps for the cost.")] = 200,
    check: Annotated[bool, typer.Option("--check", help="Exit 1 where a bar is missed.")] = False,
) -> None:
    """Ask the gate about films, about what is none, and about films that lie otherwise."""
    for needed in (*CHEST, OTHERS):
        if not (data / needed).is_dir():
            raise DatasetError(f"there is no {data / needed}", "name the folder with --data")
    loaded = load_bundle(bundle)
    asked = Asked(loaded, threads.available())
    folders = [ask(name, data / name, asked) for name in CHEST]
    for place in sorted(child for child in (data / OTHERS).iterdir() if child.is_dir()):
        folders.append(ask(f"{OTHERS}/{place.name}", place, asked))
        if folders[-1].unread:
            folders.append(ask(f"{OTHERS}/{place.name}{ENLARGED}", place, asked, enlarge=True))
    changed = [row for name in CHEST for row in change(name, data / name, asked, films_changed)]
    found = bars(folders, changed)
    print(f"bundle {loaded.id}, gate on {asked.gate.member or 'cheap signals alone'}\n")
    print("\n".join(table(folders, changed)))
    print("\n| bar | found | wanted | |\n| --- | --- | --- | --- |")
    for what, share, least, reached in found:
        print(f"| {what} | {_cell(share)} | {least:.0%} | {'reached' if reached else 'MISSED'} |")
    cost = _cost(asked, data, runs)
    result = {
        "bundle": loaded.id,
        "folders": [asdict(row) for row in folders],
        "changed": [asdict(row) for row in changed],
        "bars": [
            {"what": what, "found": asdict(share), "wanted": least, "reached": reached}
            for what, share, least, reached in found
        ],
        "look_ms": cost,
        "machine": asdict(this_machine()),
    }
    print()
    print(json.dumps(result))
    if check and not all(reached for *_, reached in found):
        missed = ", ".join(what for what, _, _, reached in found if not reached)
        raise PneumoEdgeError(f"the gate misses {missed}", "fit it on films of more hospitals")
