"""Fuse the members by linear regression, and choose the operating points; test films are not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold

from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import MEMBER_NAMES, Figures
from train.metrics import Scored, figures
from train.run import ALL, HELD_OUT, STRESSED, Fusion, Predictions, Run

PAPER_THRESHOLD = 0.5
"""Pneumonia where y > 0.5 (the paper)."""

SCREENING_SENSITIVITY = 0.98
"""What the screening point must reach on out-of-fold films."""


def linear_fusion(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Fit y = a1 x1 + a2 x2 + a3 x3 + a4 x4 + b by ordinary least squares.

    Args:
        probabilities: (n, members), of films that the members were not trained on.
        labels: (n,) of 0 and 1.

    Returns:
        (a, b).

    Source: the paper's section on fusion.
    """
    model = LinearRegression().fit(probabilities, labels)
    return np.asarray(model.coef_, dtype=np.float64), float(model.intercept_)


STRENGTHS: tuple[float, ...] = (0.0, *np.logspace(-4, 1, 21).tolist())
"""Of the shrinkage that cross-validation chooses from."""


def shrunken_fusion(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], strength: float
) -> tuple[NDArray[np.float64], float]:
    """Fit the same linear form with weights of 0 or more that are drawn towards equal ones.

    Minimises mean((y - x a - b)^2) + strength * sum((a - c / m)^2) over a >= 0, where c is the slope of the
    labels on the plain mean of the m members. Members that were trained on the same films are wrong
    together; least squares then subtracts one from another, which holds on those films alone.

    Args:
        probabilities: (n, members), of films that the members were not trained on.
        labels: (n,) of 0 and 1.
        strength: 0 is least squares without negative weights; without end it is the plain mean.

    Returns:
        (a, b).
    """
    centre, target = probabilities.mean(axis=0), labels.mean()
    x, y = probabilities - centre, labels - target
    n, m = x.shape
    mean = x.mean(axis=1)
    slope = max(0.0, float(mean @ y) / max(float(mean @ mean), 1e-12))
    pull = np.sqrt(strength * n)
    weights, _ = nnls(
        np.vstack([x, pull * np.eye(m)]), np.concatenate([y, np.full(m, pull * slope / m)])
    )
    return np.asarray(weights, dtype=np.float64), float(target - centre @ weights)


def choose_strength(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.str_] | NDArray[np.int64],
) -> float:
    """The strongest shrinkage that is not measurably worse than the best, by cross-validation.

    Args:
        probabilities: (n, members).
        labels: (n,).
        groups: (n,) what is held out as one: the fold where there are several, else the patient.

    Returns:
        One of `STRENGTHS`: the largest whose squared error is within one standard error of the least.
    """
    parts = min(10, len(np.unique(groups)))
    cuts = list(GroupKFold(parts).split(probabilities, labels, groups))
    errors = np.empty((len(STRENGTHS), parts))
    for row, strength in enumerate(STRENGTHS):
        for column, (fit, held_out) in enumerate(cuts):
            weights, bias = shrunken_fusion(probabilities[fit], labels[fit], strength)
            y = probabilities[held_out] @ weights + bias
            errors[row, column] = np.mean((y - labels[held_out]) ** 2)
    mean = errors.mean(axis=1)
    best = int(mean.argmin())
    # Of the differences to the best, part by part: that one part is harder than another says nothing.
    away = errors - errors[best]
    spread = away.std(axis=1, ddof=1) / np.sqrt(parts) if parts > 1 else np.zeros(len(STRENGTHS))
    close = np.flatnonzero(away.mean(axis=1) <= spread)
    return STRENGTHS[int(close.max())]


def fit_fusion(
    method: Literal["ols", "shrunken"],
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.str_] | NDArray[np.int64],
) -> tuple[NDArray[np.float64], float, float]:
    """Fit the fusion by the method that a recipe names.

    Returns:
        (a, b, strength of the shrinkage).
    """
    if method == "ols":
        return (*linear_fusion(probabilities, labels), 0.0)
    strength = choose_strength(probabilities, labels, groups)
    return (*shrunken_fusion(probabilities, labels, strength), strength)


def candidate_thresholds(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half-way between each two neighbouring scores, ascending: every split that a threshold can make."""
    distinct = np.unique(scores)
    if len(distinct) < 2:
        raise RecipeError(
            f"every film has the score {scores[0]:.4f}", "train the members before fusing them"
        )
    return (distinct[1:] + distinct[:-1]) / 2


def balanced_threshold(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The threshold with the largest mean of sensitivity and specificity (Youden's index).

    Where several are equal, the middle one of them.
    """
    cuts = candidate_thresholds(scores)
    ill, well = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    sensitivity = 1 - np.searchsorted(ill, cuts, side="right") / len(ill)
    specificity = np.searchsorted(well, cuts, side="right") / len(well)
    youden = sensitivity + specificity
    best = np.flatnonzero(np.isclose(youden, youden.max()))
    return float(cuts[best[len(best) // 2]])


def screening_threshold(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The highest threshold at which 98 % of the pneumonia films lie above it."""
    cuts = candidate_thresholds(scores)
    ill = np.sort(scores[labels == 1])
    sensitivity = 1 - np.searchsorted(ill, cuts, side="right") / len(ill)
    enough = np.flatnonzero(sensitivity >= SCREENING_SENSITIVITY)
    if len(enough) == 0:  # even the lowest cut loses too many: take everything for ill
        return float(scores.min()) - 1e-6
    return float(cuts[enough[-1]])


def join(
    members: Mapping[str, Sequence[Predictions]],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]:
    """Line up the members' predictions of the same films.

    Returns:
        Probabilities (n, members), labels (n,), patients (n,).

    Raises:
        RecipeError: two members predicted different films.
    """
    columns, films, labels, patients = [], None, [], []
    for name, parts in members.items():
        here = [film for part in parts for film in part.films]
        if films is not None and here != films:
            raise RecipeError(
                f"{name} was evaluated on other films than the members before it",
                "train every member on the same run's folds",
            )
        films = here
        columns.append([p for part in parts for p in part.probabilities])
        labels = [label for part in parts for label in part.labels]
        patients = [patient for part in parts for patient in part.patients]
    return np.array(columns, dtype=np.float64).T, np.array(labels), np.array(patients)


_REMEDIES = {
    HELD_OUT: "train the member to its end with `pneumo-edge train fit`",
    STRESSED: "train the member again, which older versions left without it, or take fuse_stressed out of recipe.json",
}


def out_of_fold(run: Run) -> tuple[dict[str, list[Predictions]], list[str]]:
    """The members' predictions of films they did not see, and the folds that all of them finished.

    Where the recipe says `fuse_stressed`, each fold's films come again under stress. Films of the training's own
    source are told apart at almost any threshold; which threshold lasts shows where films were taken otherwise.

    Raises:
        RecipeError: a member is missing, no fold is finished by all four, or predictions are.
    """
    finished = []
    for name in MEMBER_NAMES:
        run.model_path(name)
        finished.append({fold for fold in run.folds_of(name) if fold != ALL})
    common = sorted(set.intersection(*finished), key=int)
    if not common:
        raise RecipeError(
            f"no fold of {run.folder} is finished by all four members",
            "run `pneumo-edge train fit --fold 0` to its end",
        )
    files = [HELD_OUT, STRESSED] if run.recipe().fuse_stressed else [HELD_OUT]
    parts = {
        name: [
            run.read(f"{name}/fold-{fold}/{file}", Predictions, _REMEDIES[file])
            for fold in common
            for file in files
        ]
        for name in MEMBER_NAMES
    }
    return parts, common


def fuse_run(run: Run) -> Fusion:
    """Fit the fusion of a run and write its `fusion.json`.

    Raises:
        RecipeError: see `out_of_fold`.
    """
    parts, common = out_of_fold(run)
    probabilities, labels, patients = join(parts)
    recipe = run.recipe()
    method = recipe.fusion
    sizes = [len(part.films) for part in parts[MEMBER_NAMES[0]]]
    folds = np.arange(len(sizes)) * len(common) // len(sizes)  # a fold's parts are neighbours
    groups = np.repeat(folds, sizes) if len(common) > 2 else patients
    weights, bias, strength = fit_fusion(method, probabilities, labels, groups)
    y = probabilities @ weights + bias
    points = {
        "paper": PAPER_THRESHOLD,
        "balanced": balanced_threshold(y, labels),
        "screening": screening_threshold(y, labels),
    }
    rows: list[Figures] = figures(
        "fused", "float32", "out of fold", Scored(y, labels, patients), points
    )
    for name, column in zip(MEMBER_NAMES, probabilities.T, strict=True):
        scored = Scored(column, labels, patients)
        rows += figures(name, "float32", "out of fold", scored, {"paper": PAPER_THRESHOLD})
    fusion = Fusion(
        weights=dict(zip(MEMBER_NAMES, (float(w) for w in weights), strict=True)),
        bias=bias,
        operating_points=points,
        films=len({film for part in parts[MEMBER_NAMES[0]] for film in part.films}),
        folds=common,
        out_of_fold=rows,
        method=method,
        shrinkage=strength,
        stressed=recipe.fuse_stressed,
    )
    run.write("fusion.json", fusion)
    return fusion
