"""How films are framed, class by class and split by split, and what that alone would tell: `pneumo-edge bench framing`.

How much of a child is on a film is no finding. Where classes differ in it, and differ otherwise on other films, a model
that sees whole films learns what does not hold elsewhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.laps import laps_ms
from benchmarks.pages import PageOption, put
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import DatasetError, PneumoEdgeError
from pneumo_edge.framing import Template, find, framed, read_template
from pneumo_edge.types import Frame, InputTensor
from train.dataset import LABELS, Dataset, kermany_folder, list_films, load, training_films
from train.metrics import Scored, auc

TABLE = "framing"
LAPS, WARM_UP = 200, 20
SIDES = ("width", "height")


@dataclass(frozen=True, slots=True)
class Quartiles:
    """Of a share of the film."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Quartiles:
        low, median, high = np.percentile(values, (25, 50, 75))
        return cls(round(float(low), 3), round(float(median), 3), round(float(high), 3))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Framed:
    """How the films of a class of a split are framed."""

    split: str
    label: str
    n: int
    whole: int
    """Films on which no thorax was found."""
    width: Quartiles
    height: Quartiles


@dataclass(frozen=True, slots=True)
class Told:
    """What one side of the frame alone says of the label."""

    split: str
    side: str
    auc: float
    """Of the side's length as a score of pneumonia: 0.5 tells nothing, below it the other way round."""


def rows(split: str, films: Dataset, frames: Sequence[Frame]) -> tuple[list[Framed], list[Told]]:
    """What one split says.

    Raises:
        DatasetError: it has films of one class only.
    """
    labels = films.labels
    if len(set(labels.tolist())) != 2:
        raise DatasetError(f"{split} has films of one class only", "name films of both with --data")
    sizes = np.array([(frame.across, frame.down) for frame in frames])
    whole = np.array([frame == Frame() for frame in frames])
    found = []
    for number, label in enumerate(LABELS):
        own = labels == number
        sides = (Quartiles.of(sizes[own, side]) for side in range(2))
        found.append(Framed(split, label, int(own.sum()), int(whole[own].sum()), *sides))
    once = np.ones((1, len(labels)))
    told = [
        Told(split, side, round(float(auc(Scored(column, labels, films.patients), once)[0]), 3))
        for side, column in zip(SIDES, sizes.T, strict=True)
    ]
    return found, told


def table(found: Sequence[Framed], told: Sequence[Told]) -> Iterator[str]:
    """Markdown."""
    yield "| films | n | width of the frame | height of the frame | not found |"
    yield "| --- | --- | --- | --- | --- |"
    for row in found:
        yield f"| {row.split}, {row.label} | {row.n} | {row.width} | {row.height} | {row.whole} |"
    yield ""
    yield "| what is scored by | " + " | ".join(f"AUC, {row.split}" for row in told[::2]) + " |"
    yield "| --- |" + " --- |" * (len(told) // 2)
    for side in SIDES:
        cells = [f"{row.auc:.3f}" for row in told if row.side == side]
        yield f"| the frame's {side} alone | {' | '.join(cells)} |"


def measure(template: Template, data: Path) -> tuple[list[Framed], list[Told], Dataset]:
    """Frame every film of both splits.

    Raises:
        DatasetError: a split is missing or has films of one class only.
    """
    found: list[Framed] = []
    told: list[Told] = []
    films = Dataset((), np.empty((0, 1, 1, 1), np.uint8))
    for split, listed in (("train", training_films(data)), ("test", list_films(data / "test"))):
        films = load(listed)
        frames = [find(template, InputTensor(pixels[np.newaxis])) for pixels in films.tensors]
        more = rows(split, films, frames)
        found += more[0]
        told += more[1]
    return found, told, films


def command(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with train/ and test/. Default: ../shared/data/kermany."),
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Whose template to use.")] = None,
    page: PageOption = None,
) -> None:
    """Frame the films of a data set, and tell what framing alone would say of the label. The last line is JSON."""
    try:
        opened = load_bundle(bundle)
        template = read_template(opened)
        if template is None:
            raise DatasetError(
                f"bundle {opened.id} frames no films", "name one with a template with --bundle"
            )
        found, told, films = measure(template, kermany_folder(data))
        lines = list(table(found, told))
        one = InputTensor(films.tensors[:1])
        laps = laps_ms(lambda: framed(template, one), LAPS, WARM_UP, time.perf_counter_ns)
        if page is not None:
            put(page, TABLE, lines)
    except PneumoEdgeError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(err.exit_code) from None
    typer.echo("\n".join(lines))
    typer.echo(f"\none film is framed in {laps.p50:.2f} ms (p50 of {LAPS}, p99 {laps.p99:.2f})")
    result = {
        "bundle": opened.id,
        "films": [asdict(row) for row in found],
        "told": [asdict(row) for row in told],
        "ms": round(laps.p50, 3),
    }
    typer.echo(json.dumps(result))
