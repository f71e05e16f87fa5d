"""How much arithmetic and how many bytes does one film cost? Counted in the bundle's own .tflite files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.pages import PageOption, put
from convert import work as counting
from convert.work import Work
from pneumo_edge.bundle import Bundle, load_bundle


def count(bundle: Bundle) -> list[Work]:
    """The work of every member, in the manifest's order."""
    backbones = {member.name: bundle.content(member.file) for member in bundle.manifest.members}
    return counting.count(backbones, bundle.content(bundle.manifest.head))


def table(works: list[Work]) -> list[str]:
    """A Markdown table."""
    lines = [
        "| one film | million MACs | weights, MB | activations, MB | MACs per byte |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    sums = Work("ensemble", tuple(layer for work in works for layer in work.layers))
    for work in [*works, sums]:
        moved = work.weight_bytes + work.activation_bytes
        lines.append(
            f"| {work.name} | {work.macs / 1e6:,.0f} | {work.weight_bytes / 1e6:.1f} "
            f"| {work.activation_bytes / 1e6:.1f} | {work.macs / moved:.0f} |"
        )
    return lines


def command(
    bundle: Annotated[Path | None, typer.Option(help="Default: the one that ships.")] = None,
    page: PageOption = None,
) -> None:
    """Count multiply-accumulates and bytes of each member, as a Markdown table."""
    lines = table(count(load_bundle(bundle)))
    print("\n".join(lines))
    if page is not None:
        put(page, "bench operations", lines)
