"""A split that nothing was fitted on, read once per model: float32 of a run, or int8 of a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import DatasetError
from pneumo_edge.manifest import MEMBER_NAMES, Band, BandFigures, Figures, Struct
from pneumo_edge.types import InputTensor
from train.attributes import read_attributes
from train.bands import band_figures
from train.dataset import (
    NAMELESS,
    Dataset,
    list_films,
    load,
    refuse_shared_patients,
    training_films,
)
from train.framing import framed_films
from train.fuse import PAPER_THRESHOLD, join
from train.metrics import Scored, figures
from train.quiet import import_keras
from train.recipe import BASELINE
from train.run import Fusion, Predictions, Run

TEST = "test"
FUSED = "fused"
VIEW = "view"
"""The attribute by which a bundle's figures are told apart: bedside (AP) films are the harder ones."""


class Cached(Struct, frozen=True):
    """A float model's predictions of a split's films, and what they were made from."""

    model: str
    """SHA-256 of the model file."""
    predictions: Predictions
    films: str = ""
    """SHA-256 of the films as the model saw them."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSplit:
    """Films to evaluate on, and what the split is called."""

    name: str
    """test for the official split; else the folder's own name."""
    dataset: Dataset
    groups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    """By attribute (view, sex, age) each film's value (n,), where a labels.csv tells it."""
    remarks: tuple[str, ...] = ()
    """What a reader of the figures must know of the films."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one ensemble said of the films of one split."""

    split: EvaluationSplit
    precision: str
    """float32 or int8."""
    probabilities: NDArray[np.float64]
    """(n, 4) in the order of x1 to x4."""
    y: NDArray[np.float64]
    """(n,), the fusion's value."""
    baseline: NDArray[np.float64] | None = None
    """(n,), the plain CNN's probability, where a run has trained one."""

    @property
    def subjects(self) -> dict[str, Scored]:
        """The scores of the fusion, of each member and of the baseline, in that order."""
        labels, patients = self.split.dataset.labels, self.split.dataset.patients
        columns = {FUSED: self.y, **dict(zip(MEMBER_NAMES, self.probabilities.T, strict=True))}
        if self.baseline is not None:
            columns[BASELINE] = self.baseline
        return {name: Scored(column, labels, patients) for name, column in columns.items()}


def load_split(
    data: Path, pattern: str, progress: Callable[[int], None] | None = None
) -> EvaluationSplit:
    """The official test split of a data folder; or all of a folder that has the classes at its top.

    Films from elsewhere may have a labels.csv, see `train.attributes`: it tells their groups, and the
    patient of a film whose name does not.

    Raises:
        DatasetError: there are no such films, or a patient of the test split is in train.
    """
    attributes = None
    if (data / TEST).is_dir():
        films, name = list_films(data / TEST, pattern), TEST
        if (data / "train").is_dir():
            refuse_shared_patients(training_films(data, pattern), films, ("train", TEST))
    elif (data / "train").is_dir():
        raise DatasetError(f"{data} has no folder {TEST}", "add one with normal/ and pneumonia/")
    else:  # films from elsewhere
        films, name = list_films(data, pattern), data.resolve().name
        attributes = read_attributes(data, films)
    if attributes is None:
        return EvaluationSplit(name, load(films, progress))
    films = tuple(
        replace(film, patient=attributes.patient(film) or film.patient)
        if film.patient.startswith(NAMELESS)
        else film
        for film in films
    )
    dataset = load(films, progress)
    remarks = tuple(attributes.remarks(dataset.films))
    return EvaluationSplit(name, dataset, attributes.groups(dataset.films), remarks)


def predict_float(run: Run, name: str, split: EvaluationSplit) -> Predictions:
    """A float member's predictions of a split, from the run's cache if the model is the same.

    Raises:
        RecipeError: the member has not been trained.
    """
    path = run.model_path(name)
    dataset = framed_films(split.dataset, run.template())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    cache = f"{name}/{path.parent.name}/{split.name}.json"
    films = hashlib.sha256(dataset.tensors.tobytes()).hexdigest()
    if (run.folder / cache).is_file():
        cached = run.read(cache, Cached)
        if cached.model == digest and cached.films == films:
            return cached.predictions
    import_keras()
    import keras

    from train.fit import predict  # which also registers the layer that the file names

    predictions = predict(keras.models.load_model(path), dataset)
    run.write(cache, Cached(model=digest, films=films, predictions=predictions))
    return predictions


def predict_bundle(
    ensemble: Ensemble, dataset: Dataset, progress: Callable[[int], None] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The int8 ensemble's answers, by the deployed runtime.

    Returns:
        Probabilities (n, 4) in the order of x1 to x4, and y (n,).
    """
    probabilities = np.empty((len(dataset), len(MEMBER_NAMES)))
    y = np.empty(len(dataset))
    for row, pixels in enumerate(dataset.tensors):
        fused = ensemble.score(InputTensor(pixels[np.newaxis]))
        by_name = {member.name: member.probability for member in fused.members}
        probabilities[row] = [by_name[name] for name in MEMBER_NAMES]
        y[row] = fused.y
        if progress is not None:
            progress(1)
    return probabilities, y


def rows_of(
    probabilities: NDArray[np.float64],
    y: NDArray[np.float64],
    split: EvaluationSplit,
    precision: str,
    thresholds: Mapping[str, float],
) -> list[Figures]:
    """Figures of the fusion at every operating point, also by view, and of each member at the paper's."""
    return answers_rows(Answers(split, precision, probabilities, y), thresholds)


def band_rows(
    y: NDArray[np.float64],
    split: EvaluationSplit,
    precision: str,
    thresholds: Mapping[str, float],
    bands: Mapping[str, Band],
) -> list[BandFigures]:
    """What a bundle's bands hold of a split, and how often the label is wrong outside them."""
    dataset = split.dataset
    scored = Scored(y, dataset.labels, dataset.patients)
    return band_figures(scored, precision, split.name, thresholds, bands)


def answers_rows(answers: Answers, thresholds: Mapping[str, float]) -> list[Figures]:
    """As `rows_of`, and the baseline where there is one.

    A view's rows have the split's name, `/view/` and the view's. One that has films of one class only
    is left out: there is nothing to tell apart.
    """
    split, precision = answers.split, answers.precision
    rows: list[Figures] = []
    for name, scored in answers.subjects.items():
        points = dict(thresholds) if name == FUSED else {"paper": PAPER_THRESHOLD}
        rows += figures(name, precision, split.name, scored, points)
    fused = answers.subjects[FUSED]
    views = split.groups.get(VIEW, np.array([], dtype=np.str_))
    for view in np.unique(views):
        inside = views == view
        if len(set(fused.labels[inside].tolist())) == 2:
            part = Scored(fused.scores[inside], fused.labels[inside], fused.patients[inside])
            rows += figures(FUSED, precision, f"{split.name}/{VIEW}/{view}", part, dict(thresholds))
    return rows


def float_scores(
    run: Run, fusion: Fusion, split: EvaluationSplit
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The full-precision ensemble's probabilities (n, 4) and y (n,) on a split's films."""
    probabilities, _, _ = join({name: [predict_float(run, name, split)] for name in MEMBER_NAMES})
    return probabilities, probabilities @ np.array(
        [fusion.weights[n] for n in MEMBER_NAMES]
    ) + fusion.bias


def float_answers(run: Run, split: EvaluationSplit) -> Answers:
    """The full-precision ensemble on a split, and the baseline where it was trained."""
    baseline = None
    if run.folds_of(BASELINE):
        baseline = np.array(predict_float(run, BASELINE, split).probabilities)
    return Answers(split, "float32", *float_scores(run, run.fusion(), split), baseline)


def evaluate_float(run: Run, split: EvaluationSplit) -> list[Figures]:
    """The rows of `float_answers` at the run's operating points."""
    return answers_rows(float_answers(run, split), run.fusion().operating_points)
