"""One run of `infer`: from what the user asked for to outcomes, as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial, reduce
from itertools import islice
from pathlib import Path
from typing import Literal

from pneumo_edge import engines, pipeline, plan, progress, sources, writers
from pneumo_edge.bundle import Bundle
from pneumo_edge.decode import decode
from pneumo_edge.gate.verdict import Gate
from pneumo_edge.screening import Decoder, Screener
from pneumo_edge.types import DicomKind, Finding, PhotoMode, Refusal

Step = Callable[[Finding | Refusal], Finding | Refusal]
Form = Literal["text", "json", "jsonl", "csv"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    images: tuple[str, ...]
    """Files, folders, patterns, "-"."""

    form: Form
    """What goes to standard output."""

    csv: str | None
    """A file that gets CSV as well."""

    operating_point: str
    engine: engines.EngineName
    threads: int | None
    """1 to the cores of the machine; None for all of them."""

    bundle: Future[Bundle]
    """May still be loading."""

    early_exit: bool = False
    """Stop at the member that decides the label."""

    photo: PhotoMode = "auto"
    """Take the film out of a photo of it."""

    gate: bool = True
    """Refuse what is no frontal chest radiograph, and set films right that lie otherwise."""

    force: bool = False
    """Read DICOM files that say that they are no radiograph."""

    sandbox: bool = False
    """Decode in another process, within bounds of memory and time."""

    dicom_out: Path | None = None
    """A folder that gets each DICOM film's result as DICOM."""

    dicom_kind: DicomKind = "report"

    overlay: Path | None = None
    """A folder that gets each film with its heat map."""

    overlay_opacity: float | None = None
    """0 to 1; None for the default."""

    overlay_signed: bool = True
    """Show what speaks for normal, too."""


def run(request: Request) -> bool:
    """Screen every image, put out each outcome as it comes and keep none.

    Returns:
        Whether every image got a finding.

    Raises:
        PneumoEdgeError: the bundle, the engine or the CSV file cannot be used.
    """
    with ExitStack() as stack:
        return _run(request, _decoder(request, stack))


def _decoder(request: Request, stack: ExitStack) -> Decoder:
    """Begun before all else, so that a sandbox starts while the bundle is loaded."""
    if request.sandbox:
        from pneumo_edge.sandbox import Sandbox

        box = stack.enter_context(closing(Sandbox()))
        return partial(box.decode, force=request.force, photo=request.photo)
    return partial(decode, force=request.force, photo=request.photo)


def _run(request: Request, decoder: Decoder) -> bool:
    bundle = request.bundle.result()
    bundle.threshold(request.operating_point)  # refused before the models are loaded
    arguments = list(request.images)
    steps = _steps(request, decoder)
    screener, lanes = _screener(request, bundle, arguments, decoder)
    clean = True
    with (
        progress.bar(arguments) as advance,
        writers.together(_writers(request, bundle)) as write,
        closing(_outcomes(arguments, screener, lanes)) as outcomes,
    ):
        for found in outcomes:
            outcome = reduce(lambda passed, step: step(passed), steps, found)
            clean = clean and not isinstance(outcome, Refusal)
            write(outcome)
            advance()
    return clean


def _steps(request: Request, decoder: Decoder) -> list[Step]:
    """What is done with each outcome before it is put out; what is not asked for is not imported."""
    steps: list[Step] = []
    look = None
    if request.overlay is not None:
        from pneumo_edge.overlay import OPACITY, Look
        from pneumo_edge.overlays import Overlays

        opacity = OPACITY if request.overlay_opacity is None else request.overlay_opacity
        look = Look(opacity, request.overlay_signed)
        steps.append(Overlays(request.overlay, request.images, look).keep)
    if request.dicom_out is not None:
        from pneumo_edge.dicom.results import Results

        steps.append(Results(request.dicom_out, request.dicom_kind, decoder, look).keep)
    return steps


def _screener(
    request: Request, bundle: Bundle, arguments: list[str], decoder: Decoder
) -> tuple[Screener, int]:
    """With how many films it should score at a time."""
    point = request.operating_point
    films = 1
    if not sources.is_single(arguments):
        films = sum(1 for _ in islice(sources.expand(arguments), plan.MEASURE_FROM))
    chosen = plan.make(
        bundle, request.engine, request.threads, films, point if request.early_exit else None
    )
    explains = request.overlay is not None
    gate = Gate.of(bundle) if request.gate else None
    watched = gate.member if gate else None
    ensemble = plan.open_ensemble(chosen, bundle, explains, watched)
    order = chosen.order
    return (
        Screener(ensemble, point, request.early_exit, order, decoder, explains, gate),
        chosen.lanes,
    )


def _outcomes(
    arguments: list[str], screener: Screener, lanes: int
) -> Generator[Finding | Refusal, None, None]:
    films = sources.expand(arguments)
    if sources.is_single(arguments):  # which needs no thread but this one
        return (screener.outcome(film) for film in films)
    return pipeline.outcomes(films, screener, lanes)


def _writers(request: Request, bundle: Bundle) -> list[writers.Writer]:
    single = sources.is_single(list(request.images))
    members = [member.name for member in bundle.manifest.members]
    chosen: list[writers.Writer] = []
    if request.form == "text":
        chosen.append(writers.TextWriter(single))
    elif request.form == "json":
        chosen.append(writers.JsonWriter(single))
    elif request.form == "jsonl":
        chosen.append(writers.JsonLinesWriter())
    else:
        chosen.append(writers.open_csv("-", members))
    if request.csv is not None:
        chosen.append(writers.open_csv(request.csv, members))
    return chosen
