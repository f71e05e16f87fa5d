"""A full benchmark as one page with plots, with nothing to fetch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from benchmarks import table
from benchmarks.results import Candidate, Results
from train.page import Chapter, Html, page, paragraph, picture
from train.page import table as html_table

COLOURS = {"vgg16": "#0072b2", "vgg19": "#56b4e9", "resnet50": "#d55e00", "xception": "#009e73"}
"""Okabe and Ito's, which people with any colour vision tell apart."""


def render(results: Results) -> str:
    """The page.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    opening = [paragraph(line) for line in table.heading(results).splitlines()]
    opening += [paragraph(f"Measured {results.created}.")]
    opening += [paragraph(line) for line in table.remarks(results)]
    return page("pneumo-edge benchmark", opening, list(_chapters(results)))


def _chapters(results: Results) -> Iterator[Chapter]:
    timed = [c for c in results.candidates if c.ensemble_ms]
    rows = list(table.time_rows(results))
    parts: list[Html] = []
    if timed:
        parts += [_latency(timed), _laps(timed)]
    parts.append(html_table(table.TIMES, rows, _TIMES))
    yield Chapter("latency", "Latency", tuple(parts))
    members = html_table(table.MEMBERS, list(table.member_rows(results)), _BY_MEMBER)
    yield Chapter("members", "By member", (_memory(results.candidates), members))
    for anchor, title, columns, found, caption in (
        ("throughput", "Throughput", table.THROUGHPUT, table.throughput_rows(results), _BATCH),
        ("parity", "Parity", table.PARITY, table.parity_rows(results), _PARITY),
        ("early-exit", "Early exit", table.EXIT, table.exit_rows(results), _EXIT),
    ):
        listed = list(found)
        if listed:
            yield Chapter(
                anchor, title, (html_table(columns, listed, caption), *_flips(anchor, results))
            )
    if any(s.celsius is not None or s.mhz is not None for s in results.board.samples):
        yield Chapter("board", "The board while it ran", (_board(results),))


_TIMES = (
    "Milliseconds. Spread is (p90 - best) / p50 of the laps. Processor is p50 of the time that the candidate's"
    " threads spent on a core: other programs on the machine change it least."
)
_BY_MEMBER = (
    "Backbone and classifier of each member, p50 with its spread; memory includes the first call."
)
_BATCH = "The program itself on a folder, clocked from one finding to the next, loading left out."
_PARITY = "On the user's own films. A flip is a label that differs at that operating point."
_EXIT = (
    "Labels are the whole ensemble's, provably; the share is of this run's costs of the members."
)


def _flips(anchor: str, results: Results) -> tuple[Html, ...]:
    rows = [
        [one.candidate, flip.film, flip.operating_point, f"{flip.reference:.4f}", f"{flip.y:.4f}"]
        for one in results.parity
        for flip in one.flipped
    ]
    if anchor != "parity" or not rows:
        return ()
    heading = ("candidate", "film", "operating point", "y of the reference", "y")
    return (html_table(heading, rows, "Every label that differs."),)


def _figure(rows: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 0.9 + 0.42 * rows), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Any) -> str:
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "pneumo-edge", "font.size": 10}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _rows(axes: Any, candidates: list[Candidate]) -> None:
    names = [c.name + (" (peer)" if c.peer else "") for c in candidates]
    axes.set_yticks(range(len(names)), labels=names)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _latency(timed: list[Candidate]) -> Html:
    """Stacked bars: what each member takes in each candidate."""
    timed = sorted(timed, key=lambda c: c.ensemble_ms.p50 if c.ensemble_ms else 0.0)
    figure, axes = _figure(len(timed))
    left = [0.0] * len(timed)
    for name, colour in COLOURS.items():
        widths = [ms.p50 if (ms := c.members[name].ms) else 0.0 for c in timed]
        axes.barh(range(len(timed)), widths, left=left, color=colour, label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for place, one in enumerate(timed):
        if one.ensemble_ms:
            label = f" {one.ensemble_ms.p50:.1f} ms"
            axes.text(left[place], place, label, va="center", fontsize=9)
    _rows(axes, timed)
    axes.set(xlabel="milliseconds for one film, p50", xlim=(0, max(left) * 1.14))
    figure.legend(loc="outside right upper", fontsize=9)
    alt = ", ".join(f"{c.name} {c.ensemble_ms.p50:.1f} ms" for c in timed if c.ensemble_ms)
    return picture(_svg(figure), alt, "Median time of each member, one after the other.")


def _laps(timed: list[Candidate]) -> Html:
    """Every lap, so that the machine's noise can be seen."""
    figure, axes = _figure(7)
    for one in timed:
        if one.ensemble_ms:
            laps = one.ensemble_ms.laps
            axes.plot(range(1, len(laps) + 1), laps, marker=".", label=one.name)
    axes.set(xlabel="lap", ylabel="ms for one film", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3, which="both")
    figure.legend(loc="outside right upper", fontsize=9)
    caption = (
        "Every lap. The candidates took turns, so noise of the machine meets all of them alike."
    )
    return picture(_svg(figure), "time of each lap by candidate", caption)


def _memory(candidates: list[Candidate]) -> Html:
    candidates = sorted(candidates, key=lambda c: c.peak_mib)
    figure, axes = _figure(len(candidates))
    peaks = [c.peak_mib for c in candidates]
    axes.barh(range(len(candidates)), peaks, color="#666666")
    for place, peak in enumerate(peaks):
        axes.text(peak, place, f" {peak:.0f}", va="center", fontsize=9)
    _rows(axes, candidates)
    axes.set(xlabel="MiB", xlim=(0, max(peaks) * 1.14))
    alt = ", ".join(f"{c.name} {c.peak_mib:.0f} MiB" for c in candidates)
    return picture(_svg(figure), alt, "Peak memory of a process with all four members loaded.")


def _board(results: Results) -> Html:
    figure, axes = _figure(6)
    samples = results.board.samples
    axes.plot([s.celsius for s in samples], color="#d55e00", label="°C, hottest zone")
    axes.set(xlabel="lap", ylabel="°C")
    clock = axes.twinx()
    clock.plot([s.mhz for s in samples], color="#0072b2", label="MHz, slowest core")
    clock.set(ylabel="MHz")
    figure.legend(loc="outside upper right", fontsize=9)
    return picture(_svg(figure), "temperature and clock by lap", "Sampled after each lap.")
