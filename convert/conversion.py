"""One conversion: a float run becomes an int8 bundle."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np

import train.members  # noqa: F401  # registers the layer that a member's file names
from convert import indeterminate, pack
from convert.gate import MEMBER as GATE_MEMBER
from convert.gate import fitted_gate
from convert.gate_films import beside
from convert.head import build_head
from convert.held_out import held_out
from convert.kept import kept_or_made, key_of
from convert.member import ConvertedMember, MemberOptions, convert_member
from convert.order import counted_costs, default_order
from convert.parity import Answers, ParityReport, compare, over_budget
from convert.quantize import SCHEMES, Scheme
from convert.representative import (
    RepresentativeSet,
    draw_representative,
    refuse_evaluated,
    seen_films,
)
from pneumo_edge.bundle import load_bundle
from pneumo_edge.early_exit import Fusion as LinearFusion
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import DatasetError, RecipeError
from pneumo_edge.framing import FILE as TEMPLATE
from pneumo_edge.framing import encode_template
from pneumo_edge.gate.statistics import FILE as GATE_FILE
from pneumo_edge.held_out import FILE as HELD_OUT_FILE
from pneumo_edge.manifest import (
    CARD,
    MEMBER_NAMES,
    SCHEMA_VERSION,
    SIDE,
    GateFigures,
    Indeterminate,
    InputContract,
    Manifest,
    Member,
    answer_id,
)
from pneumo_edge.types import Interval
from train.card import render_card
from train.dataset import list_films, load, training_films
from train.evaluate import (
    TEST,
    EvaluationSplit,
    band_rows,
    evaluate_float,
    float_scores,
    load_split,
    predict_bundle,
    predict_float,
    rows_of,
)
from train.recipe import MemberBudget
from train.record import training_record
from train.run import Fusion, Run

HEAD = "head.tflite"
HELD_OUT = "held-out"
LAYERS = {"vgg16": 18, "vgg19": 21, "resnet50": 72, "xception": 101}
"""How many each member is quantized in, for the bar."""

Step = Callable[[int], None]
Progress = Callable[[str, int], Step]
"""Given what begins and how many steps it has, returns what is called with 1 after each."""


@dataclass(frozen=True, slots=True)
class ConversionOptions:
    """What the command line asked for."""

    run: Path
    out: Path
    data: Path
    representative: int
    seed: int
    threads: int
    force: bool
    external: Path | None
    """Films from elsewhere, to be measured and told in the model card."""
    external_patient: str
    """Their patient pattern; see `train.dataset.patient_key`."""
    zipped: bool
    """Write `<out>.zip` too."""
    scheme: Scheme
    accept_parity: bool
    """Write the bundle though parity is over the recipe's budget."""
    gate: bool = True
    """Fit the input gate."""
    gate_films: tuple[Path, ...] | None = None
    """Folders of further films for it; None for those beside the data set."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came of it."""

    manifest: Manifest
    report: ParityReport
    sizes: Mapping[str, int]
    """Bytes by file."""
    written: bool
    """Not where parity is over budget and that was not accepted."""
    archive: Path | None
    """The .zip, where one was asked for."""


def convert(options: ConversionOptions, progress: Progress) -> Conversion:
    """Export, quantize, fold, measure and pack; see `pneumo-edge convert --help`.

    Raises:
        PneumoEdgeError: bad run, data or target. What was at the target stays.
    """
    pack.refuse_existing(options.out, options.force)
    run = Run(options.run)
    models = {name: run.model_path(name) for name in MEMBER_NAMES}
    fusion, kept = run.fusion(), held_out(run)
    seen = indeterminate.held_out_sets(run)
    bands = indeterminate.choose(run, seen)
    provenance = training_record(run)
    split = _parity_films(options.data, run, progress)
    elsewhere = _films_from_elsewhere(options, progress)
    chosen = _representative(options, run, split, progress)
    budget = run.recipe().parity
    held_to = budget.of_members(fusion.weights)
    members = _members(models, chosen, options, held_to, progress)
    files = _files(members, fusion) | {HELD_OUT_FILE: kept}
    content, gated = _gate(options, run, files, (split, elsewhere), progress)
    files |= content
    template = run.template()
    if template is not None:
        files |= {TEMPLATE: encode_template(template)}
    provenance |= _record(chosen, options.scheme)
    order = _order(files, members, fusion, kept, bands)
    manifest = _manifest(files, members, fusion, order, _created(models), provenance)
    manifest = msgspec.structs.replace(
        manifest,
        indeterminate=bands,
        band_figures=indeterminate.figures(run, seen, bands),
        gate=gated,
    )
    manifest = msgspec.structs.replace(manifest, id=answer_id(manifest))
    manifest, report = _measure(manifest, files, run, (split, elsewhere), options.threads, progress)
    missed = over_budget(report.rows, budget)
    reports = [member.report for member in members]
    report = msgspec.structs.replace(report, over_budget=missed, members=reports)
    files |= {CARD: render_card(manifest).encode()}
    manifest = msgspec.structs.replace(manifest, files=pack.digests(files))
    written = options.accept_parity or not missed
    if written:
        pack.write(options.out, manifest, files, options.force)
    archive = pack.write_zip(options.out) if options.zipped and written else None
    sizes = {name: len(content) for name, content in files.items()}
    return Conversion(manifest, report, sizes, written, archive)


def _representative(
    options: ConversionOptions, run: Run, split: EvaluationSplit, progress: Progress
) -> RepresentativeSet:
    """Training films of patients that parity is not measured on."""
    evaluated = set(split.dataset.patients)
    films = training_films(options.data, run.split().patient_pattern)
    if split.name == HELD_OUT:  # where the test split has none of these patients, which was checked
        films = tuple(film for film in films if film.patient not in evaluated)
    step = progress("reading representative films", options.representative * 3 // 2)
    chosen = draw_representative(films, options.representative, options.seed, step)
    refuse_evaluated(chosen, split.dataset)
    return seen_films(chosen, run.template())


def _parity_films(data: Path, run: Run, progress: Progress) -> EvaluationSplit:
    """The official test split; where there is none, the first fold's held-out films."""
    pattern = run.split().patient_pattern
    if (data / TEST).is_dir():
        count = len(list_films(data / TEST, pattern))
        return load_split(data, pattern, progress("reading test films", count))
    held_out = set(run.split().folds[0])
    films = [film for film in training_films(data, pattern) if film.id in held_out]
    if not films:
        raise RecipeError(
            f"{data} holds none of the films that run {run.folder} held out",
            "pass the data set that the run was trained on with --data",
        )
    step = progress("reading held-out films", len(films))
    return EvaluationSplit(HELD_OUT, load(films, step))


def _films_from_elsewhere(options: ConversionOptions, progress: Progress) -> EvaluationSplit | None:
    """The films of --external, if any."""
    if options.external is None:
        return None
    count = len(list_films(options.external, options.external_patient))
    step = progress("reading films from elsewhere", count)
    split = load_split(options.external, options.external_patient, step)
    if split.name == TEST:
        raise DatasetError(
            f"{options.external} is a data set with a test split of its own",
            "name a folder with normal/ and pneumonia/ with --external",
        )
    return split


def _gate(
    options: ConversionOptions,
    run: Run,
    files: Mapping[str, bytes],
    splits: tuple[EvaluationSplit, EvaluationSplit | None],
    progress: Progress,
) -> tuple[dict[str, bytes], GateFigures | None]:
    """The gate's file and figures; neither where none is wanted."""
    if not options.gate:
        return {}, None
    folders = beside(options.data) if options.gate_films is None else options.gate_films
    films = training_films(options.data, run.split().patient_pattern)
    others = {split.name: split.dataset.tensors for split in splits if split is not None}
    # A fold that was held out is made of training films, and tells nothing of others.
    others.pop(HELD_OUT, None)
    backbone = files[f"{GATE_MEMBER}.tflite"]
    content, figures = fitted_gate(
        backbone, run.template(), films, folders, others, options.seed, options.threads, progress
    )
    return {GATE_FILE: content}, figures


def _members(
    models: Mapping[str, Path],
    chosen: RepresentativeSet,
    options: ConversionOptions,
    budgets: Mapping[str, MemberBudget],
    progress: Progress,
) -> list[ConvertedMember]:
    """Each member's backbone and classifier: kept by the run, or made now."""
    members = []
    for name, path in models.items():
        how = MemberOptions(options.scheme, budgets[name], options.threads)
        key = key_of(path.read_bytes(), chosen, how, _versions())
        step = progress(f"quantizing {name}", LAYERS[name])

        def make(path: Path = path, how: MemberOptions = how, step: Step = step) -> ConvertedMember:
            return convert_member(load_member(path), chosen, how, step)

        members.append(kept_or_made(options.run, name, key, make))
    return members


def _files(members: Sequence[ConvertedMember], fusion: Fusion) -> dict[str, bytes]:
    """The four backbones and the head, by file name."""
    weights = [fusion.weights[member.report.name] for member in members]
    head = build_head([member.classifier for member in members], weights, fusion.bias)
    return {f"{m.report.name}.tflite": m.tflite for m in members} | {HEAD: head}


def _order(
    files: Mapping[str, bytes],
    members: Sequence[ConvertedMember],
    fusion: Fusion,
    kept: bytes,
    stated: Indeterminate,
) -> list[str]:
    """The manifest's order of evaluation: what early exit goes by until a device has measured."""
    names = [member.report.name for member in members]
    costs = counted_costs({name: files[f"{name}.tflite"] for name in names}, files[HEAD])
    linear = LinearFusion(tuple(fusion.weights[name] for name in names), fusion.bias, 0.0)
    with np.load(io.BytesIO(kept), allow_pickle=False) as arrays:
        probabilities = arrays["probabilities"]
    points = fusion.operating_points
    bands = [stated.bands.get(point) for point in points]
    spans = [Interval(band.low, band.high) if band is not None else None for band in bands]
    order = default_order(linear, probabilities, costs, list(points.values()), spans)
    return [names[column] for column in order]


def load_member(path: Path) -> Any:
    """A member of a run, as train.members builds it.

    Raises:
        RecipeError: the file is no such model.
    """
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as err:  # Keras and its zip and h5 readers raise anything
        reason = str(err).partition("\n")[0]
        raise RecipeError(
            f"{path} is no member's model ({reason})", "train that member again"
        ) from err


def _created(models: Mapping[str, Path]) -> str:
    """The date on which the newest member was saved, which Keras notes in its file.

    Not today's: converting a run twice gives the same bytes.
    """
    days = []
    for path in models.values():
        with zipfile.ZipFile(path) as archive:
            days.append(str(json.loads(archive.read("metadata.json"))["date_saved"])[:10])
    return max(days)


def _record(chosen: RepresentativeSet, scheme: Scheme) -> dict[str, Any]:
    """The part of the provenance that conversion can tell."""
    return {
        "conversion": {
            "scheme": SCHEMES[scheme],
            "representative": {
                "films": len(chosen.films),
                "patients": len({film.patient for film in chosen.films}),
                "check_films": len(chosen.check),
                "seed": chosen.seed,
                "split": "train",
            },
            "versions": _versions(),
        }
    }


def _versions() -> dict[str, str]:
    """Of the tools that a conversion depends on."""
    tools = ("pneumo-edge", "tensorflow", "keras", "litert-quantizer", "ai-edge-litert")
    return {tool: metadata.version(tool) for tool in tools}


def _manifest(
    files: Mapping[str, bytes],
    members: Sequence[ConvertedMember],
    fusion: Fusion,
    order: list[str],
    created: str,
    provenance: dict[str, Any],
) -> Manifest:
    """A manifest that has no id and has not been measured yet."""
    hashes = pack.digests(files)
    return Manifest(
        schema=SCHEMA_VERSION,
        id="",
        created=created,
        files=hashes,
        input=InputContract(rows=SIDE, cols=SIDE, channels=1, dtype="uint8"),
        members=[
            Member(
                name=member.report.name,
                file=f"{member.report.name}.tflite",
                weight=fusion.weights[member.report.name],
                scheme=member.scheme,
                grid=member.grid,
            )
            for member in members
        ],
        bias=fusion.bias,
        head=HEAD,
        operating_points=fusion.operating_points,
        evaluation_order=order,
        figures=[],
        parity=[],
        provenance=provenance,
        template=TEMPLATE if TEMPLATE in files else None,
    )


def _measure(
    manifest: Manifest,
    files: Mapping[str, bytes],
    run: Run,
    splits: tuple[EvaluationSplit, EvaluationSplit | None],
    threads: int,
    progress: Progress,
) -> tuple[Manifest, ParityReport]:
    """Fill in figures and parity, with the deployed runtime on the int8 side."""
    split, elsewhere = splits
    points = manifest.operating_points
    step = progress("scoring with float32 Keras", len(MEMBER_NAMES))
    for name in MEMBER_NAMES:  # which the run keeps, and float_scores reads
        predict_float(run, name, split)
        step(1)
    exact = Answers(*float_scores(run, run.fusion(), split))
    figures = evaluate_float(run, split) if split.name == TEST else []
    outside = list(manifest.band_figures)
    bands = manifest.indeterminate.bands if manifest.indeterminate is not None else {}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "bundle"
        pack.write(draft, manifest, files)
        ensemble = Ensemble(load_bundle(draft), choose("cpu"), threads)
        step = progress("scoring with the int8 bundle", len(split.dataset))
        quantized = Answers(*predict_bundle(ensemble, split.dataset, step))
        if split.name == TEST:
            figures += rows_of(quantized.probabilities, quantized.y, split, "int8", points)
            outside += band_rows(quantized.y, split, "int8", points, bands)
        if elsewhere is not None:
            step = progress("scoring films from elsewhere", len(elsewhere.dataset))
            answers = predict_bundle(ensemble, elsewhere.dataset, step)
            figures += rows_of(*answers, elsewhere, "int8", points)
            outside += band_rows(answers[1], elsewhere, "int8", points, bands)
    films = [film.id for film in split.dataset.films]
    rows, flips = compare(exact, quantized, split.dataset.labels, films, points)
    report = ParityReport(
        bundle=manifest.id, split=split.name, rows=rows, flips=flips, over_budget=[], members=[]
    )
    manifest = msgspec.structs.replace(manifest, figures=figures, parity=rows, band_figures=outside)
    return manifest, report
