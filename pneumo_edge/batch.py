"""One run of `infer`: from what the user asked for to outcomes, as they come."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal

from pneumo_edge import engines, progress, sources, writers
from pneumo_edge.bundle import Bundle
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.screening import Screener
from pneumo_edge.types import Refusal

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
    threads: int
    """1 to the cores of the machine."""

    bundle: Future[Bundle]
    """May still be loading."""


def run(request: Request) -> bool:
    """Screen every image, put out each outcome as it comes and keep none.

    Returns:
        Whether every image got a finding.

    Raises:
        PneumoEdgeError: the bundle, the engine or the CSV file cannot be used.
    """
    bundle = request.bundle.result()
    bundle.threshold(request.operating_point)  # refused before the models are loaded
    ensemble = Ensemble(bundle, engines.choose(request.engine), request.threads)
    screener = Screener(ensemble, request.operating_point)
    arguments = list(request.images)
    clean = True
    with progress.bar(arguments) as advance, writers.together(_writers(request, bundle)) as write:
        for source in sources.expand(arguments):
            outcome = screener.outcome(source)
            clean = clean and not isinstance(outcome, Refusal)
            write(outcome)
            advance()
    return clean


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
