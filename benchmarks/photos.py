"""`pneumo-edge bench photos`: what a photo of a film on a light box costs, with and without rectification.

The films of a test split are photographed by `benchmarks.photo_scene`, by seed. Nothing is chosen on them: what
`pneumo_edge.photo` does was settled on training films.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.photo_scene import Picture, photograph
from pneumo_edge import engines, threads
from pneumo_edge.bundle import load_bundle
from pneumo_edge.decode import decode, decode_file
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BadRadiographError, DatasetError
from pneumo_edge.manifest import Measure, Struct
from pneumo_edge.photo import Film, rectify
from pneumo_edge.prepare import prepare
from pneumo_edge.types import Radiograph
from train.dataset import KERMANY, list_films
from train.dataset import Film as LabelledFilm
from train.metrics import RESAMPLES, SEED, Scored, intervals, measure, patient_resamples

POINT = "paper"
WAYS = ("the films", "photos as they are", "photos, rectified")


class WayFigures(Struct, frozen=True):
    """How the ensemble does on one rendering of the films."""

    way: str
    auc: Measure
    accuracy: Measure
    sensitivity: Measure
    specificity: Measure
    mean_abs_dy: Measure
    """From y of the film itself."""


class PhotosReport(Struct, frozen=True):
    """One run."""

    bundle: str
    engine: str
    films: int
    seed: int
    found: int
    """Photos in which the film was found unasked, in the mode `auto`."""
    corner_error: float
    """Median over those of the largest distance of a corner, over the film's diagonal."""
    corner_error_p99: float
    untouched: int
    """Films that the mode `auto` left bit-identical, given as they are."""
    ways: list[WayFigures]


def command(
    data: Annotated[
        Path,
        typer.Option(help="A data set with a test split, or a folder with normal/ and pneumonia/."),
    ],
    bundle: Annotated[Path | None, typer.Option(help="Without it, the one that ships.")] = None,
    films: Annotated[
        int | None, typer.Option(min=8, help="At most so many, drawn by seed.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the photos and of the draw.")] = 20,
    patient: Annotated[str, typer.Option(help="Pattern of a patient in a file's name.")] = KERMANY,
) -> None:
    """Photograph films on a simulated light box, and read them with and without rectification."""
    opened = load_bundle(bundle)
    ensemble = Ensemble(opened, engines.choose("auto"), threads.available())
    chosen = draw(data, films, seed, patient)
    report = run(ensemble, chosen, seed)
    typer.echo(table(report))
    typer.echo(msgspec.json.encode(report).decode())


def draw(data: Path, count: int | None, seed: int, patient: str) -> list[LabelledFilm]:
    """The films of the test split, or `count` of them, as many of each class as there are in it.

    Raises:
        DatasetError: there are none, or of one class only.
    """
    folder = data / "test" if (data / "test").is_dir() else data
    films = list(list_films(folder, patient))
    if len({film.label for film in films}) != 2:
        raise DatasetError(
            f"{folder} has films of one class only", "name films of both with --data"
        )
    if count is None or count >= len(films):
        return films
    rng = np.random.default_rng(seed)
    kept: list[LabelledFilm] = []
    for label in (0, 1):
        of_class = [film for film in films if film.label == label]
        share = max(1, round(count * len(of_class) / len(films)))
        kept += [of_class[i] for i in sorted(rng.permutation(len(of_class))[:share])]
    return kept


def run(ensemble: Ensemble, films: Sequence[LabelledFilm], seed: int) -> PhotosReport:
    """Score every film as it is, photographed, and photographed and rectified."""
    y = np.empty((len(WAYS), len(films)))
    errors, found, untouched = [], 0, 0
    for row, film in enumerate(films):
        whole = decode_file(film.path)
        picture = photograph(eight_bits(whole), np.random.default_rng((seed, row)))
        untouched += _is_untouched(whole)
        taken = decode(picture.jpeg, film.id, photo="never")
        rectified, error = read_photo(picture, film.id)
        if error is not None:
            found += 1
            errors.append(error)
        for way, shown in enumerate((whole, taken, rectified)):
            y[way, row] = ensemble.score(prepare(shown)).y
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{row + 1} of {len(films)} films")
    labels = np.array([film.label for film in films])
    patients = np.array([film.patient for film in films])
    threshold = ensemble.bundle.threshold(POINT)
    return PhotosReport(
        bundle=ensemble.bundle.id,
        engine=ensemble.engine.name,
        films=len(films),
        seed=seed,
        found=found,
        corner_error=round(float(np.median(errors)), 5) if errors else 0.0,
        corner_error_p99=round(float(np.percentile(errors, 99)), 5) if errors else 0.0,
        untouched=untouched,
        ways=list(_figures(y, labels, patients, threshold)),
    )


def read_photo(picture: Picture, name: str) -> tuple[Radiograph, float | None]:
    """As `infer` reads it, and how far off the worst corner is, over the film's diagonal.

    A photo that is refused, or whose film is not found, counts as one that is read as it is, with None for a distance.
    """
    pixels = np.asarray(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR))
    try:
        film = rectify(pixels, "auto", False, name)
    except BadRadiographError:
        film = None
    if not isinstance(film, Film):
        return decode(picture.jpeg, name, photo="never"), None
    off = np.linalg.norm(film.corners - picture.corners, axis=1).max()
    diagonal = np.linalg.norm(picture.corners[2] - picture.corners[0])
    return Radiograph(film.pixels, 8, name, photo=film.note), float(off / diagonal)


def eight_bits(film: Radiograph) -> NDArray[np.uint8]:
    """(rows, cols)."""
    top = 2**film.bits_stored - 1
    return np.asarray(np.rint(film.pixels.astype(np.float32) * (255 / top)), np.uint8)


def _is_untouched(film: Radiograph) -> bool:
    return film.photo is None


def _figures(
    y: NDArray[np.float64],
    labels: NDArray[np.int64],
    patients: NDArray[np.str_],
    threshold: float,
) -> Iterator[WayFigures]:
    whole = np.ones((1, len(labels)))
    draws = patient_resamples(Scored(y[0], labels, patients), RESAMPLES, SEED)
    for way, scores in zip(WAYS, y, strict=True):
        found = intervals(Scored(scores, labels, patients), {POINT: threshold})[POINT]
        away = np.abs(scores - y[0])
        moved = measure(whole @ away / whole.sum(1), draws @ away / draws.sum(1))
        yield WayFigures(
            way=way,
            auc=found["auc"],
            accuracy=found["accuracy"],
            sensitivity=found["sensitivity"],
            specificity=found["specificity"],
            mean_abs_dy=moved,
        )


def table(report: PhotosReport) -> str:
    """The figures in Markdown, as docs/photos.md has them."""

    def cell(figure: Measure) -> str:
        return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"

    facts = (
        f"bundle {report.bundle}, engine {report.engine}, {report.films} films, seed {report.seed}: "
        f"found in {report.found} photos, corners off by {report.corner_error:.2%} of the diagonal in the median and "
        f"{report.corner_error_p99:.2%} at the 99th percentile; {report.untouched} films untouched"
    )
    lines = [
        facts,
        "",
        "| read from | AUC | accuracy | sensitivity | specificity | mean change of y |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in report.ways:
        figures = (row.auc, row.accuracy, row.sensitivity, row.specificity, row.mean_abs_dy)
        lines.append(f"| {row.way} | " + " | ".join(map(cell, figures)) + " |")
    return "\n".join(lines)
