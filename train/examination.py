"""One `train evaluate`: a run or a bundle on films it never saw, shown, written and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import track

from pneumo_edge import threads as cores
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BundleError, DatasetError, PneumoEdgeError, RecipeError
from pneumo_edge.manifest import CARD, BandFigures, Figures
from train.assembly import summarise
from train.candidate import Candidate, candidate_of_bundle, candidate_of_run
from train.card import figures_row
from train.dataset import KERMANY
from train.evaluate import (
    Answers,
    EvaluationSplit,
    answers_rows,
    band_rows,
    float_answers,
    load_split,
    predict_bundle,
)
from train.html_report import render
from train.metrics import RESAMPLES
from train.published import PAPER
from train.report import print_bands, print_figures
from train.run import Run, whole
from train.summary import SCHEMA, SplitFacts, Summary


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What the command line asked for."""

    data: Path
    run: Path | None
    bundle: Path | None
    check: bool
    output: Path | None
    """Of the summary, as JSON."""
    patient: str | None
    external: Path | None = None
    """Films from elsewhere, evaluated beside those of `data`."""
    external_patient: str | None = None
    report: Path | None = None
    """Of the page, as HTML."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """An ensemble's answers on every split, and where to learn the rest of it."""

    answers: list[Answers]
    points: Mapping[str, float]
    candidate: Callable[[], Candidate]
    """Reads more of the run or the bundle, and may find it lacking."""

    @property
    def rows(self) -> list[Figures]:
        """The figures on every split."""
        return [row for answers in self.answers for row in answers_rows(answers, self.points)]


def differences(measured: list[Figures], claimed: list[Figures]) -> list[str]:
    """Where a bundle's manifest says something else than was measured, as sentences."""
    wanted = {_key(row): row for row in claimed}
    unmeasured = wanted.keys() - {_key(row) for row in measured}
    found = [f"the manifest claims {_said(key)}, not measured" for key in sorted(unmeasured)]
    for row in measured:
        key = _key(row)
        if key not in wanted:
            found.append(f"the manifest has no figures of {_said(key)}")
        elif wanted[key] != row:
            found.append(
                f"{_said(key)}: measured accuracy {row.accuracy.value}, "
                f"AUC {row.auc.value}; the manifest says {wanted[key].accuracy.value}, {wanted[key].auc.value}"
            )
    return found


def _key(row: Figures) -> tuple[str, str, str]:
    return row.split, row.subject, row.operating_point


def _said(key: tuple[str, str, str]) -> str:
    split, subject, point = key
    return f"{subject} at {point} on {split}"


def _check(bundle: Bundle, answers: list[Answers], measured: list[Figures]) -> None:
    """Compare with the manifest, whose figures the model card prints.

    Raises:
        BundleError: they differ.
    """
    names = {one.split.name for one in answers}
    claimed = [
        row
        for row in bundle.manifest.figures
        if row.precision == "int8" and row.split.partition("/")[0] in names
    ]
    card = _card(bundle)
    wrong = differences(measured, claimed)
    wrong += _band_differences(bundle, answers)
    wrong += [
        f"{CARD} lacks the figures of {_said(_key(row))}"
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


def _band_differences(bundle: Bundle, answers: list[Answers]) -> list[str]:
    """Where the manifest says something else of its indeterminate bands than was measured."""
    claimed = {(r.precision, r.split, r.operating_point): r for r in bundle.manifest.band_figures}
    found = []
    for one in answers:
        for row in bands_of(bundle, one):
            said = claimed.get((row.precision, row.split, row.operating_point))
            if said != row:
                was = f"{said.inside.value} and {said.error.value}" if said else "nothing"
                found.append(
                    f"the band at {row.operating_point} on {row.split}: measured {row.inside.value} in it and "
                    f"{row.error.value} wrong outside, the manifest says {was}"
                )
    return found


def bands_of(bundle: Bundle, answers: Answers) -> list[BandFigures]:
    """What the bundle's bands hold of its answers; nothing where it states none."""
    stated = bundle.manifest.indeterminate
    if stated is None:
        return []
    points = bundle.manifest.operating_points
    return band_rows(answers.y, answers.split, answers.precision, points, stated.bands)


def _card(bundle: Bundle) -> str:
    """The bundle's model card, whose hash was checked when the bundle was loaded."""
    if CARD not in bundle.manifest.files:
        return ""
    return bundle.content(CARD).decode()


def _measure_run(folder: Path, splits: list[EvaluationSplit]) -> Measured:
    run = Run(folder)
    points = run.fusion().operating_points
    answers = [float_answers(run, split) for split in splits]
    return Measured(answers, points, lambda: candidate_of_run(run))


def _measure_bundle(bundle: Bundle, splits: list[EvaluationSplit]) -> Measured:
    console = Console(stderr=True)
    ensemble = Ensemble(bundle, choose("cpu"), cores.available())
    answers = []
    for split in splits:
        bar = iter(
            track(
                range(len(split.dataset)),
                f"scoring {split.name}",
                console=console,
                transient=True,
                disable=not console.is_terminal,
            )
        )

        def step(_: int, bar: Callable[[], object] = bar.__next__) -> None:
            bar()

        scores = predict_bundle(ensemble, split.dataset, step)
        answers.append(Answers(split, "int8", *scores))
    return Measured(answers, bundle.manifest.operating_points, lambda: candidate_of_bundle(bundle))


def _splits(options: EvaluationOptions) -> list[EvaluationSplit]:
    """The films of the data folder, and those from elsewhere.

    Raises:
        DatasetError: see `load_split`; or both have the same name.
    """
    pattern = options.patient if options.patient is not None else KERMANY
    splits = [load_split(options.data, pattern)]
    if options.external is not None:
        pattern = options.external_patient if options.external_patient is not None else KERMANY
        elsewhere = load_split(options.external, pattern)
        if elsewhere.name == splits[0].name:
            raise DatasetError(
                f"{options.external} is called {elsewhere.name}, as the films of {options.data} are",
                "name another folder with normal/ and pneumonia/ with --external",
            )
        splits.append(elsewhere)
    console = Console(stderr=True)
    for split in splits:
        told = [f"skipped: {what}" for _, what in split.dataset.skipped]
        for line in [*told, *(f"{split.name}: {said}" for said in split.remarks)]:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return splits


def _facts(split: EvaluationSplit) -> SplitFacts:
    labels = split.dataset.labels
    return SplitFacts(
        name=split.name,
        films=len(labels),
        patients=len(set(split.dataset.patients.tolist())),
        normal=int((labels == 0).sum()),
        pneumonia=int((labels == 1).sum()),
        skipped=len(split.dataset.skipped),
        remarks=list(split.remarks),
    )


def _refuse_missing_folders(options: EvaluationOptions) -> None:
    """Said before the films are scored, not after.

    Raises:
        PneumoEdgeError: a file to be written has no folder.
    """
    for path, option in ((options.output, "--json"), (options.report, "--report")):
        if path is not None and not path.parent.is_dir():
            raise PneumoEdgeError(
                f"{path} cannot be written: there is no folder {path.parent}",
                f"make it, or name another file with {option}",
            )


def _write(options: EvaluationOptions, summary: Summary) -> None:
    if options.output is not None:
        with whole(options.output) as partial:
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")
    if options.report is not None:
        with whole(options.report) as partial:
            partial.write_text(render(summary), encoding="utf-8")


def examine(options: EvaluationOptions) -> list[Figures]:
    """Measure what the options name; see `pneumo-edge train evaluate --help`.

    Raises:
        PneumoEdgeError: bad data, run or bundle; or --check found a difference.
    """
    if options.check and options.run is not None:
        raise RecipeError(
            "--check compares a bundle with its manifest", "leave out --run, or --check"
        )
    _refuse_missing_folders(options)
    splits = _splits(options)
    measured = []
    bundle = None
    if options.run is not None:
        measured.append(_measure_run(options.run, splits))
    if options.bundle is not None or options.run is None:
        bundle = load_bundle(options.bundle)
        measured.append(_measure_bundle(bundle, splits))
    rows = [row for one in measured for row in one.rows]
    for split in splits:
        here = [row for row in rows if row.split.partition("/")[0] == split.name]
        print_figures(
            here, f"{len(split.dataset)} films of {split.name}, 95 % intervals by patient"
        )
    if bundle is not None:
        outside = [row for answers in measured[-1].answers for row in bands_of(bundle, answers)]
        print_bands(outside)
    if options.output is not None or options.report is not None:
        summary = Summary(
            schema=SCHEMA,
            bootstrap_draws=RESAMPLES,
            splits=[_facts(split) for split in splits],
            ensembles=[summarise(one.candidate(), one.answers) for one in measured],
            figures=rows,
            published=list(PAPER),
        )
        _write(options, summary)
    if options.check and bundle is not None:
        _check(bundle, measured[-1].answers, measured[-1].rows)
    return rows
