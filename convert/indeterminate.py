"""The bundle's indeterminate bands, from what a run's members said of films that they had not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pneumo_edge.manifest import MEMBER_NAMES, BandFigures, Indeterminate
from train import run as run_files
from train.bands import band_figures, choose_band
from train.fuse import join, out_of_fold
from train.metrics import Scored
from train.run import Predictions, Run

HELD_OUT = "held-out"
UNDER_STRESS = "held-out under stress"


def held_out_sets(run: Run) -> dict[str, Scored]:
    """The fused y of the held-out films as they are and, where every member was tried on them, under stress.

    The films are those on which the fusion was fitted: four weights and a constant are little against hundreds of
    films.

    Raises:
        RecipeError: a member's predictions are missing, or are of other films than the first one's.
    """
    _, folds = out_of_fold(run)
    sets = {HELD_OUT: _fused(run, folds, run_files.HELD_OUT)}
    places = [run.member(name, fold) for name in MEMBER_NAMES for fold in folds]
    if all((place / run_files.STRESSED).is_file() for place in places):
        sets[UNDER_STRESS] = _fused(run, folds, run_files.STRESSED)
    return sets


def choose(run: Run, sets: Mapping[str, Scored]) -> Indeterminate:
    """The band of each operating point, for the error rate that the run's recipe states."""
    rate = run.recipe().error_outside_band
    bands = {
        point: choose_band(list(sets.values()), threshold, rate)
        for point, threshold in run.fusion().operating_points.items()
    }
    return Indeterminate(
        error_rate=rate,
        films={name: len(films.labels) for name, films in sets.items()},
        bands={point: band for point, band in bands.items() if band is not None},
    )


def figures(run: Run, sets: Mapping[str, Scored], chosen: Indeterminate) -> list[BandFigures]:
    """What the bands hold and leave on the films that they were chosen on."""
    points = run.fusion().operating_points
    return [
        row
        for name, films in sets.items()
        for row in band_figures(films, "float32", name, points, chosen.bands)
    ]


def _fused(run: Run, folds: Sequence[str], file: str) -> Scored:
    """By the run's fusion, from one file of predictions of each member and fold."""
    fusion = run.fusion()
    parts = {
        name: [run.read(f"{name}/fold-{fold}/{file}", Predictions) for fold in folds]
        for name in MEMBER_NAMES
    }
    probabilities, labels, patients = join(parts)
    weights = np.array([fusion.weights[name] for name in MEMBER_NAMES])
    return Scored(probabilities @ weights + fusion.bias, labels, patients)
