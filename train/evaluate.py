"""A split that nothing was fitted on, read once per model: float32 members of a run, or the int8 of a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import DatasetError
from pneumo_edge.manifest import MEMBER_NAMES, Figures, Struct
from pneumo_edge.types import InputTensor
from train.dataset import Dataset, list_films, load, refuse_shared_patients, training_films
from train.fuse import PAPER_THRESHOLD, join
from train.metrics import Scored, figures
from train.quiet import import_keras
from train.run import Fusion, Predictions, Run

TEST = "test"


class Cached(Struct, frozen=True):
    """A float model's predictions of a split's films, and what they were made from."""

    model: str
    """SHA-256 of the model file."""
    predictions: Predictions
    films: str = ""
    """SHA-256 of the prepared films."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationSplit:
    """Films to evaluate on, and what the split is called."""

    name: str
    """test for the official split; else the folder's own name."""
    dataset: Dataset


def load_split(
    data: Path, pattern: str, progress: Callable[[int], None] | None = None
) -> EvaluationSplit:
    """The official test split of a data folder; or all of a folder that has the classes at its top.

    Raises:
        DatasetError: there are no such films, or a patient of the test split is in train.
    """
    if (data / TEST).is_dir():
        films, name = list_films(data / TEST, pattern), TEST
        if (data / "train").is_dir():
            refuse_shared_patients(training_films(data, pattern), films, ("train", TEST))
    elif (data / "train").is_dir():
        raise DatasetError(f"{data} has no folder {TEST}", "add one with normal/ and pneumonia/")
    else:  # films from elsewhere
        films, name = list_films(data, pattern), data.resolve().name
    return EvaluationSplit(name, load(films, progress))


def predict_float(run: Run, name: str, split: EvaluationSplit) -> Predictions:
    """A float member's predictions of a split, from the run's cache if the model is the same.

    Raises:
        RecipeError: the member has not been trained.
    """
    path = run.model_path(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    cache = f"{name}/{path.parent.name}/{split.name}.json"
    films = hashlib.sha256(split.dataset.tensors.tobytes()).hexdigest()
    if (run.folder / cache).is_file():
        cached = run.read(cache, Cached)
        if cached.model == digest and cached.films == films:
            return cached.predictions
    import_keras()
    import keras

    from train.fit import predict  # which also registers the layer that the file names

    predictions = predict(keras.models.load_model(path), split.dataset)
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
    """Figures of the fusion at every operating point, and of each member at the paper's."""
    labels, patients = split.dataset.labels, split.dataset.patients
    rows = figures("fused", precision, split.name, Scored(y, labels, patients), dict(thresholds))
    for name, column in zip(MEMBER_NAMES, probabilities.T, strict=True):
        scored = Scored(column, labels, patients)
        rows += figures(name, precision, split.name, scored, {"paper": PAPER_THRESHOLD})
    return rows


def float_scores(
    run: Run, fusion: Fusion, split: EvaluationSplit
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The full-precision ensemble's probabilities (n, 4) and y (n,) on a split's films."""
    probabilities, _, _ = join({name: [predict_float(run, name, split)] for name in MEMBER_NAMES})
    return probabilities, probabilities @ np.array(
        [fusion.weights[n] for n in MEMBER_NAMES]
    ) + fusion.bias


def evaluate_float(run: Run, split: EvaluationSplit) -> list[Figures]:
    """The full-precision ensemble on a split, and the baseline where it was trained."""
    fusion = run.fusion()
    rows = rows_of(*float_scores(run, fusion, split), split, "float32", fusion.operating_points)
    if run.folds_of("cnn"):
        got = predict_float(run, "cnn", split)
        scored = Scored(np.array(got.probabilities), split.dataset.labels, split.dataset.patients)
        rows += figures("cnn", "float32", split.name, scored, {"paper": PAPER_THRESHOLD})
    return rows


def evaluate_bundle(
    bundle: Bundle,
    ensemble: Ensemble,
    split: EvaluationSplit,
    progress: Callable[[int], None] | None = None,
) -> list[Figures]:
    """The bundle on a split."""
    probabilities, y = predict_bundle(ensemble, split.dataset, progress)
    return rows_of(probabilities, y, split, "int8", bundle.manifest.operating_points)
