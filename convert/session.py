"""One `pneumo-edge convert`: progress while it runs, and what came of it as tables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from convert.conversion import Conversion, ConversionOptions, convert
from convert.gate import GateOptions, refit
from convert.gate_fit import Progress as Announce
from pneumo_edge.errors import BundleError
from pneumo_edge.manifest import Manifest
from train.report import print_bands
from train.table_console import table_console

MEGABYTE = 1e6


def run_conversion(options: ConversionOptions, report: Path | None) -> Conversion:
    """Convert, show and write the report; see `pneumo-edge convert --help`.

    Raises:
        PneumoEdgeError: bad run, data or target, the report cannot be written, or parity is over budget.
    """
    if report is not None and not report.parent.is_dir():  # said now, not after minutes of work
        raise BundleError(f"there is no folder {report.parent} for the report", "make it first")
    with _progress() as progress:
        conversion = convert(options, progress)
    if report is not None:
        write_report(conversion, report)
    show(conversion, options.out)
    if not conversion.written:
        missed = "; ".join(conversion.report.over_budget)
        raise BundleError(
            f"parity is over the recipe's budget: {missed}",
            "pass more films with --representative, widen `parity` in the run's recipe.json, or pass "
            "--accept-parity to write the bundle all the same",
        )
    return conversion


def run_refit(options: GateOptions) -> None:
    """Fit a bundle's gate anew, and show how it does.

    Raises:
        PneumoEdgeError: bad bundle, data or target.
    """
    with _progress() as progress:
        manifest = refit(options, progress)
    _show_gate(manifest)
    table_console().print(f"bundle {manifest.id} written to {options.out}", highlight=False)


@contextmanager
def _progress() -> Iterator[Announce]:
    """Bars on a terminal, a line for each stage elsewhere."""
    errors = Console(file=sys.stderr)  # this one, while a library's notes are sent elsewhere
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:

        def progress(what: str, steps: int) -> Callable[[int], None]:
            if not errors.is_terminal:
                errors.print(what)
            task = bars.add_task(what, total=steps)
            return lambda count: bars.advance(task, count)

        yield progress


def write_report(conversion: Conversion, path: Path) -> None:
    """Write parity, and each film whose label flipped, as JSON.

    Raises:
        BundleError: it cannot be written.
    """
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(conversion.report)) + b"\n")
    except OSError as err:
        raise BundleError(f"cannot write {path}: {err.strerror}", "name another --report") from None


def show(conversion: Conversion, out: Path) -> None:
    """Print parity, sizes, flips and where the bundle went."""
    console = table_console()
    console.print(_parity_table(conversion))
    console.print(_member_table(conversion))
    console.print(_size_table(conversion))
    for line in _bands(conversion):
        console.print(line, highlight=False)
    print_bands(conversion.manifest.band_figures)
    _show_gate(conversion.manifest)
    for flip in conversion.report.flips:
        console.print(
            f"{flip.subject} at {flip.operating_point} > {flip.threshold:.4f}: {flip.film} "
            f"{flip.float32:.4f} -> {flip.int8:.4f}",
            highlight=False,
        )
    for trial in _trials(conversion):
        console.print(trial, highlight=False)
    if conversion.written:
        console.print(f"bundle {conversion.manifest.id} written to {out}", highlight=False)
    if conversion.archive is not None:
        console.print(f"and to {conversion.archive}", highlight=False)


def _parity_table(conversion: Conversion) -> Table:
    report = conversion.report
    table = Table(
        title=f"int8 against float32 on {report.rows[0].n} {report.split} films",
        title_justify="left",
    )
    for heading in ("", "mean |dp|", "worst |dp|", "AUC float32", "AUC int8", "labels flipped"):
        table.add_column(heading)
    for row in report.rows:
        table.add_row(
            row.subject,
            f"{row.mean_abs_dp:.4f}",
            f"{row.worst_abs_dp:.4f}",
            f"{row.auc_float:.4f}",
            f"{row.auc_int8:.4f}",
            ", ".join(f"{point} {count}" for point, count in row.flips.items()),
        )
    return table


def _member_table(conversion: Conversion) -> Table:
    table = Table(title="members on representative films", title_justify="left")
    for heading in ("", "scheme", "fitted mean |dp|", "check mean |dp|", "check worst", "agree"):
        table.add_column(heading)
    for member in conversion.report.members:
        table.add_row(
            member.name,
            member.scheme,
            f"{member.fitted_mean_abs_dp:.4f}",
            f"{member.check_mean_abs_dp:.4f}",
            f"{member.check_worst_abs_dp:.4f}",
            "yes" if member.stable else "no: pass more films with --representative",
        )
    return table


def _bands(conversion: Conversion) -> Iterator[str]:
    """Where y is indeterminate at each operating point, or why that is not said."""
    stated = conversion.manifest.indeterminate
    if stated is None:
        return
    for point, threshold in conversion.manifest.operating_points.items():
        band = stated.bands.get(point)
        said = (
            f"from {band.low:.4f} to {band.high:.4f}"
            if band is not None
            else f"not stated: too few held-out films of a class for an error rate of {stated.error_rate:.1%}"
        )
        yield f"{point} > {threshold:.4f}: indeterminate {said}"


def _show_gate(manifest: Manifest) -> None:
    """What the gate makes of films that lie upright, and of the same films turned, inverted, mirrored and cropped."""
    if manifest.gate is None:
        return
    table = Table(title="the gate, on films that it was not fitted on", title_justify="left")
    names = list(next(iter(manifest.gate.noticed.values()), {}))
    for heading in ("", "n", "refused", "unlike", "corrected", *(f"{n}: noticed" for n in names)):
        table.add_column(heading)
    for row in manifest.gate.rows:
        noticed = manifest.gate.noticed.get(row.name, {})
        table.add_row(
            row.name,
            *(str(count) for count in (row.n, row.refused, row.distant, row.corrected)),
            *(f"{noticed[name]:.1%}" for name in names if name in noticed),
        )
    table_console().print(table)


def _trials(conversion: Conversion) -> Iterator[str]:
    """What copies of activations and layers in float bought, member by member."""
    for member in conversion.report.members:
        for trial in member.trials if len(member.trials) > 1 else ():
            yield (
                f"{member.name} with {len(trial.finer)} activations in copies and {len(trial.left_in_float)} "
                f"of its worst layers in float32: mean |dp| "
                f"{trial.mean_abs_dp:.4f}, worst {trial.worst_abs_dp:.4f}, of an undecided film "
                f"{trial.undecided_dp:.4f}, "
                f"{trial.bytes / MEGABYTE:.2f} MB"
            )


def _size_table(conversion: Conversion) -> Table:
    table = Table(title="sizes", title_justify="left")
    table.add_column("file")
    table.add_column("MB", justify="right")
    for name, size in sorted(conversion.sizes.items()):
        table.add_row(name, f"{size / MEGABYTE:.2f}")
    table.add_row("together", f"{sum(conversion.sizes.values()) / MEGABYTE:.2f}")
    return table
