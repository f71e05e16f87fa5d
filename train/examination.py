"""One `train evaluate`: a run or a bundle on the test split, shown, written and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import track

from pneumo_edge import threads as cores
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BundleError, PneumoEdgeError, RecipeError
from pneumo_edge.manifest import Figures
from train.card import figures_row
from train.dataset import KERMANY
from train.evaluate import EvaluationSplit, evaluate_bundle, evaluate_float, load_split
from train.report import print_figures
from train.run import Run

CARD = "MODEL_CARD.md"
"""Its place in a bundle."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What the command line asked for."""

    data: Path
    run: Path | None
    bundle: Path | None
    check: bool
    output: Path | None
    patient: str | None


def differences(measured: list[Figures], claimed: list[Figures]) -> list[str]:
    """Where a bundle's manifest says something else than was measured, as sentences."""
    wanted = {(row.subject, row.operating_point): row for row in claimed}
    unmeasured = wanted.keys() - {(row.subject, row.operating_point) for row in measured}
    found = [
        f"the manifest claims {subject} at {point}, not measured"
        for subject, point in sorted(unmeasured)
    ]
    for row in measured:
        key = (row.subject, row.operating_point)
        if key not in wanted:
            found.append(f"the manifest has no figures of {row.subject} at {row.operating_point}")
        elif wanted[key] != row:
            found.append(
                f"{row.subject} at {row.operating_point}: measured accuracy {row.accuracy.value}, "
                f"AUC {row.auc.value}; the manifest says {wanted[key].accuracy.value}, {wanted[key].auc.value}"
            )
    return found


def _check(bundle: Bundle, measured: list[Figures], split: str) -> None:
    """Compare with the manifest, whose figures the model card prints.

    Raises:
        BundleError: they differ.
    """
    claimed = [
        row for row in bundle.manifest.figures if row.precision == "int8" and row.split == split
    ]
    card = _card(bundle)
    wrong = differences(measured, claimed)
    wrong += [
        f"{CARD} lacks the figures of {row.subject} at {row.operating_point}"
        for row in measured
        if figures_row(row) not in card
    ]
    if wrong:
        raise BundleError(
            f"bundle {bundle.id} does not measure as it claims: {'; '.join(wrong)}",
            "check that this is the data set of the model card; else convert the run again",
        )
    Console(stderr=True).print(
        f"bundle {bundle.id}: all {len(measured)} rows equal the manifest's and the model card's"
    )


def _card(bundle: Bundle) -> str:
    """The bundle's model card, whose hash was checked when the bundle was loaded."""
    if CARD not in bundle.manifest.files:
        return ""
    card = bundle.model(CARD)
    return (card if isinstance(card, bytes) else card.read_bytes()).decode()


def _measure_bundle(
    options: EvaluationOptions, split: EvaluationSplit
) -> tuple[Bundle, list[Figures]]:
    console = Console(stderr=True)
    bundle = load_bundle(options.bundle)
    engine = choose("cpu")
    ensemble = Ensemble(bundle, engine, cores.available())
    bar = iter(
        track(
            range(len(split.dataset)),
            "scoring",
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )

    def step(_: int) -> None:
        next(bar)

    rows = evaluate_bundle(bundle, ensemble, split, step)
    return bundle, rows


def _write(path: Path, rows: list[Figures]) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(rows)) + b"\n")
    except OSError as err:
        raise PneumoEdgeError(
            f"{path} cannot be written: {err.strerror or err}", "name another file with --json"
        ) from None


def examine(options: EvaluationOptions) -> list[Figures]:
    """Measure what the options name; see `pneumo-edge train evaluate --help`.

    Raises:
        PneumoEdgeError: bad data, run or bundle; or --check found a difference.
    """
    if options.check and options.run is not None:
        raise RecipeError(
            "--check compares a bundle with its manifest", "leave out --run, or --check"
        )
    pattern = options.patient if options.patient is not None else KERMANY
    split = load_split(options.data, pattern)
    for _, what in split.dataset.skipped:
        Console(stderr=True).print(
            f"skipped: {what}", highlight=False, markup=False, soft_wrap=True
        )
    rows: list[Figures] = []
    bundle = None
    if options.run is not None:
        rows += evaluate_float(Run(options.run), split)
    if options.bundle is not None or options.run is None:
        bundle, measured = _measure_bundle(options, split)
        rows += measured
    print_figures(rows, f"{len(split.dataset)} films of {split.name}, 95 % intervals by patient")
    if options.output is not None:
        _write(options.output, rows)
    if options.check and bundle is not None:
        _check(bundle, rows, split.name)
    return rows
