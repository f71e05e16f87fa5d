"""The official test split, read once per model: float32 members of a run, or the int8 of a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import DatasetError
from pneumo_edge.manifest import MEMBER_NAMES, Figures, Struct
from pneumo_edge.types import InputTensor
from train.dataset import Dataset, list_films, load
from train.fuse import PAPER_THRESHOLD, join
from train.metrics import Scored, figures
from train.run import Fusion, Predictions, Run

TEST = "test"


class Cached(Struct, frozen=True):
    """A float model's predictions of the test films, and what they were made from."""

    model: str
    """SHA-256 of the model file."""
    predictions: Predictions


def load_test_split(
    data: Path, pattern: str, progress: Callable[[int], None] | None = None
) -> Dataset:
    """The official test split.

    Raises:
        DatasetError: there is none.
    """
    if not (data / TEST).is_dir():
        raise DatasetError(f"{data} has no folder {TEST}", "add one with normal/ and pneumonia/")
    return load(list_films(data / TEST, pattern), progress)


def predict_float(run: Run, name: str, dataset: Dataset) -> Predictions:
    """A float member's test predictions, from the run's cache if the model is the same.

    Raises:
        RecipeError: the member has not been trained.
    """
    from train.fit import film_id, predict

    path = run.model_path(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    cache = f"{name}/{path.parent.name}/{TEST}.json"
    films = [film_id(film) for film in dataset.films]
    if (run.folder / cache).is_file():
        cached = run.read(cache, Cached)
        if cached.model == digest and cached.predictions.films == films:
            return cached.predictions
    import keras

    import train.members  # noqa: F401  # registers the layer that the file names

    predictions = predict(keras.models.load_model(path), dataset)
    run.write(cache, Cached(model=digest, predictions=predictions))
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
    dataset: Dataset,
    precision: str,
    thresholds: Mapping[str, float],
) -> list[Figures]:
    """Figures of the fusion at every operating point, and of each member at the paper's."""
    labels, patients = dataset.labels, dataset.patients
    rows = figures("fused", precision, TEST, Scored(y, labels, patients), dict(thresholds))
    for name, column in zip(MEMBER_NAMES, probabilities.T, strict=True):
        scored = Scored(column, labels, patients)
        rows += figures(name, precision, TEST, scored, {"paper": PAPER_THRESHOLD})
    return rows


def float_scores(
    run: Run, fusion: Fusion, dataset: Dataset
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The full-precision ensemble's probabilities (n, 4) and y (n,) on the test films."""
    probabilities, _, _ = join({name: [predict_float(run, name, dataset)] for name in MEMBER_NAMES})
    return probabilities, probabilities @ np.array(
        [fusion.weights[n] for n in MEMBER_NAMES]
    ) + fusion.bias


def evaluate_float(run: Run, dataset: Dataset) -> list[Figures]:
    """The full-precision ensemble on the test split, and the baseline where it was trained."""
    fusion = run.fusion()
    rows = rows_of(*float_scores(run, fusion, dataset), dataset, "float32", fusion.operating_points)
    if run.folds_of("cnn"):
        got = predict_float(run, "cnn", dataset)
        scored = Scored(np.array(got.probabilities), dataset.labels, dataset.patients)
        rows += figures("cnn", "float32", TEST, scored, {"paper": PAPER_THRESHOLD})
    return rows


def evaluate_bundle(
    bundle: Bundle,
    ensemble: Ensemble,
    dataset: Dataset,
    progress: Callable[[int], None] | None = None,
) -> list[Figures]:
    """The bundle on the test split."""
    probabilities, y = predict_bundle(ensemble, dataset, progress)
    return rows_of(probabilities, y, dataset, "int8", bundle.manifest.operating_points)
