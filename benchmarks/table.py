"""A full benchmark for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.laps import Spread
from benchmarks.results import Candidate, Results


def show(results: Results, console: Console) -> None:
    """Print it all."""
    console.print(heading(results), highlight=False)
    console.print(_times(results))
    console.print(_members(results))
    for part in _parts(results):
        console.print(part)
    for line in remarks(results):
        console.print(line, highlight=False, markup=False)


def heading(results: Results) -> str:
    """The machine, without which no time means anything."""
    on = results.machine
    boards = f"{results.board.model}, " if results.board.model else ""
    return (
        f"{boards}{on.cpu} ({on.isa}), {on.cores} cores, {on.memory_mib} MiB, load {on.load_1min}, "
        f"{on.python}, {on.os}\nbundle {results.bundle}, {results.threads} threads each, "
        f"{results.runs} laps after {results.warmup}, candidates in turn"
    )


def fastest(results: Results) -> Candidate | None:
    """The engine of pneumo-edge with the least median, None before the first lap."""
    timed = [c for c in results.candidates if c.ensemble_ms and not c.peer]
    return min(timed, key=lambda c: c.ensemble_ms.p50 if c.ensemble_ms else 0.0, default=None)


def relative(candidate: Candidate, results: Results) -> str:
    """How many times the fastest engine's median."""
    best = fastest(results)
    if best is None or best.ensemble_ms is None or candidate.ensemble_ms is None:
        return ""
    return f"{candidate.ensemble_ms.p50 / best.ensemble_ms.p50:.2f}"


def cells(ms: Spread | None) -> list[str]:
    """p50, p90, p99, worst and the relative spread."""
    if ms is None:
        return [""] * 5
    return [*(f"{v:.2f}" for v in (ms.p50, ms.p90, ms.p99, ms.worst)), f"{ms.relative:.0%}"]


def load_ms(candidate: Candidate) -> float:
    """Import, head and all members."""
    return candidate.start_ms + sum(member.load_ms for member in candidate.members.values())


def first_ms(candidate: Candidate) -> float:
    """First calls of all members."""
    return sum(member.first_ms for member in candidate.members.values())


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


TIMES = (
    "ms, whole ensemble",
    "p50",
    "p90",
    "p99",
    "worst",
    "spread",
    "times best",
    "processor",
    "load",
    "first call",
    "peak MiB",
)


def time_rows(results: Results) -> Iterator[list[str]]:
    """A row for each candidate, fastest first, then decode and prepare."""
    timed = sorted(
        results.candidates, key=lambda c: c.ensemble_ms.p50 if c.ensemble_ms else float("inf")
    )
    for one in timed:
        name = one.name + (" (peer)" if one.peer else "")
        yield [
            name,
            *cells(one.ensemble_ms),
            relative(one, results),
            f"{one.processor_ms.p50:.2f}" if one.processor_ms else "",
            f"{load_ms(one):.0f}",
            f"{first_ms(one):.0f}",
            f"{one.peak_mib:.0f}",
        ]
    yield ["decode, apart", *cells(results.decode_ms), *[""] * 5]
    yield ["prepare, apart", *cells(results.prepare_ms), *[""] * 5]


def _times(results: Results) -> Table:
    table = _table("one film, input tensor to y", *TIMES)
    for row in time_rows(results):
        table.add_row(*row)
    return table


MEMBERS = ("ms p50 by member", "vgg16", "vgg19", "resnet50", "xception")


def member_rows(results: Results) -> Iterator[list[str]]:
    """A row for each candidate: p50 and spread of each member; then sizes and the cost to explain."""
    for one in results.candidates:
        timed = [one.members[name].ms for name in MEMBERS[1:] if name in one.members]
        yield [one.name, *(f"{ms.p50:.2f} ±{ms.relative:.0%}" if ms else "" for ms in timed)]
    for one in results.candidates[:1]:
        added = [f"{member.added_mib:.0f}" for member in one.members.values()]
        yield [f"{one.name}: memory added, MiB", *added]
        explained = [member.explain_ms for member in one.members.values()]
        if any(explained):
            yield ["explain, on top", *(f"{ms.p50:.2f}" if ms else "" for ms in explained)]
    sizes = [results.sizes.get(f"{name}.tflite") for name in MEMBERS[1:]]
    yield ["file, MB", *(f"{size / 1e6:.1f}" if size else "" for size in sizes)]


def _members(results: Results) -> Table:
    table = _table("by member", *MEMBERS)
    for row in member_rows(results):
        table.add_row(*row)
    return table


THROUGHPUT = ("pneumo-edge infer FOLDER, all cores", "films/s", "films", "resident MiB")
PARITY = ("candidate against reference", "films", "mean |dy|", "worst |dy|", "labels that differ")
EXIT = ("early exit", "share of the cost", "films", "1, 2, 3, 4 members", "order", "films are")


def throughput_rows(results: Results) -> Iterator[list[str]]:
    """A row for each engine."""
    for one in results.throughput:
        yield [one.engine, f"{one.films_per_s:.2f}", str(one.films), f"{one.peak_mib:.0f}"]


def parity_rows(results: Results) -> Iterator[list[str]]:
    """A row for each pair."""
    for one in results.parity:
        flips = ", ".join(f"{point} {count}" for point, count in one.flips.items())
        against = f"{one.candidate} against {one.reference}"
        moved = [f"{one.mean_abs_dy:.5f}", f"{one.worst_abs_dy:.5f}"]
        yield [against, str(one.films), *moved, flips]


def exit_rows(results: Results) -> Iterator[list[str]]:
    """A row for each operating point."""
    for one in results.early_exit:
        ran = ", ".join(map(str, one.members_run))
        order = ", ".join(one.order)
        yield [one.operating_point, f"{one.share:.1%}", str(one.films), ran, order, one.source]


def _parts(results: Results) -> Iterator[Table]:
    for title, columns, rows in (
        ("throughput", THROUGHPUT, list(throughput_rows(results))),
        ("parity", PARITY, list(parity_rows(results))),
        ("early exit", EXIT, list(exit_rows(results))),
    ):
        if rows:
            table = _table(title, *columns)
            for row in rows:
                table.add_row(*row)
            yield table


def remarks(results: Results) -> Iterator[str]:
    """What the figures have to be read with."""
    if results.interrupted:
        yield "Interrupted: only what was measured until Ctrl-C is here."
    whole = sum(results.sizes.values()) / 1e6
    yield f"The bundle's models together: {whole:.1f} MB."
    if results.chosen:
        yield f"auto takes {results.chosen} for a long batch on this machine."
    for candidate in results.candidates:
        if candidate.card:
            yield f"{candidate.name} ran on: {candidate.card}."
    for one in results.absent:
        yield f"Not measured: {one.name} ({one.reason})."
    if results.refused:
        yield f"{results.refused} of the films could not be read."
    exact = any(one.precision != "int8" for one in results.candidates)
    if results.weights == "random" and exact:
        yield "Full precision ran with random weights: its times are right, its answers mean nothing."
    yield from _of_board(results)


def _of_board(results: Results) -> Iterator[str]:
    heat = [s.celsius for s in results.board.samples if s.celsius is not None]
    clocks = [s.mhz for s in results.board.samples if s.mhz is not None]
    if heat:
        yield f"Temperature: {heat[0]:.1f} °C before, {max(heat):.1f} °C at most."
    if clocks:
        yield f"Slowest core's clock between laps: {min(clocks):.0f} to {max(clocks):.0f} MHz."
    words = sorted({word for s in results.board.samples for word in s.throttling or []})
    if words:
        yield f"The firmware reports: {', '.join(words)}."
