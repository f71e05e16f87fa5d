"""Figures of merit with 95 % intervals, resampled by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import DatasetError
from pneumo_edge.manifest import Figures, Measure

RESAMPLES = 1000
"""Bootstrap draws; the ends of the interval then move by about 0.001 from seed to seed."""

MEASURES = ("accuracy", "auc", "sensitivity", "specificity", "f1")
"""Those of a row of `Figures`, in the order in which tables show them."""

SEED = 20
"""Of the draws: the same scores give the same interval, so that a card can be checked."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A model's scores of films whose labels are known."""

    scores: NDArray[np.float64]
    """(n,), a probability or the fused y."""
    labels: NDArray[np.int64]
    """(n,) of 0 normal, 1 pneumonia."""
    patients: NDArray[np.str_]
    """(n,) patient keys."""

    def __post_init__(self) -> None:
        if set(self.labels.tolist()) != {0, 1}:
            raise DatasetError(
                f"the films to evaluate have the labels {sorted(set(self.labels.tolist()))} only",
                "evaluate on films of both classes",
            )

    def where(self, inside: NDArray[np.bool_]) -> Scored:
        """The films at which `inside` (n,) is true; both classes must be among them."""
        return Scored(self.scores[inside], self.labels[inside], self.patients[inside])


def counts(scored: Scored, threshold: float, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted true positives, false negatives, true negatives, false positives.

    Args:
        scored: n films.
        threshold: Positive is above.
        weights: (..., n), how often each film counts.

    Returns:
        (..., 4).
    """
    positive = scored.scores > threshold
    ill = scored.labels == 1
    cells = (positive & ill, ~positive & ill, ~positive & ~ill, positive & ~ill)
    return weights @ np.stack(cells, axis=1).astype(np.float64)


def rates(cells: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Accuracy, and precision, recall and F1 in both readings, each in [0, 1].

    Sensitivity is the recall of pneumonia, specificity that of normal. Without a suffix precision and F1
    are those of pneumonia; `_macro` is the plain mean over the two classes.

    Args:
        cells: (..., 4), from `counts`.

    Returns:
        By measure, (...). The precision of a class that was never named is 0, as in scikit-learn.
    """
    tp, fn, tn, fp = np.moveaxis(cells, -1, 0)
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    precision, precision_normal = tp / np.maximum(tp + fp, 1), tn / np.maximum(tn + fn, 1)
    f1, f1_normal = 2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)
    return {
        "accuracy": (tp + tn) / (tp + fn + tn + fp),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "f1": f1,
        "precision": precision,
        "precision_macro": (precision + precision_normal) / 2,
        "recall_macro": (sensitivity + specificity) / 2,
        "f1_macro": (f1 + f1_normal) / 2,
    }


def _by_level(
    scored: Scored, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How often pneumonia and normal films count at each distinct score, ascending: (draws, levels) each.

    All draws are sorted once, which makes a thousand of them as quick as a few of scikit-learn's.
    """
    order = np.argsort(scored.scores, kind="stable")
    _, levels = np.unique(scored.scores[order], return_index=True)
    ill = weights[:, order] * (scored.labels[order] == 1)
    well = weights[:, order] - ill
    return np.add.reduceat(ill, levels, axis=1), np.add.reduceat(well, levels, axis=1)


def auc(scored: Scored, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the ROC curve: how often a pneumonia film outscores a normal one, ties half.

    Args:
        scored: n films.
        weights: (draws, n), how often each film counts.

    Returns:
        (draws,).
    """
    ill, well = _by_level(scored, weights)
    below = np.cumsum(well, axis=1) - well
    won = (ill * (below + well / 2)).sum(axis=1)
    return np.asarray(won / (ill.sum(axis=1) * well.sum(axis=1)))


def average_precision(scored: Scored, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean precision over the thresholds, each weighted by the recall that it adds.

    Args:
        scored: n films.
        weights: (draws, n), how often each film counts.

    Returns:
        (draws,). A share of pneumonia films p makes a score without skill reach p, not 0.5.

    Source: scikit-learn's `average_precision_score`, without interpolation.
    """
    ill, well = _by_level(scored, weights)
    found = np.cumsum(ill[:, ::-1], axis=1)
    named = found + np.cumsum(well[:, ::-1], axis=1)
    precision = found / np.maximum(named, 1)  # a draw may leave out the films of the highest scores
    return np.asarray((precision * ill[:, ::-1]).sum(axis=1) / ill.sum(axis=1))


def patient_resamples(scored: Scored, count: int, seed: int) -> NDArray[np.float64]:
    """How often each film stands in each bootstrap draw of whole patients.

    Normal and pneumonia patients are drawn apart, so that the prevalence stays that of the split.

    Returns:
        (count, n).
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((count, len(scored.labels)))
    for label in (0, 1):
        rows = np.flatnonzero(scored.labels == label)
        _, member = np.unique(scored.patients[rows], return_inverse=True)
        patients = int(member.max()) + 1
        draws = rng.multinomial(patients, np.full(patients, 1 / patients), size=count)
        weights[:, rows] = draws[:, member]
    return weights


def intervals(scored: Scored, thresholds: dict[str, float]) -> dict[str, dict[str, Measure]]:
    """AUC, average precision, and the `rates` at each threshold, with 95 % intervals.

    Args:
        scored: Both classes.
        thresholds: By the operating point's name; positive is above.

    Returns:
        By operating point, by measure. Percentile bootstrap over patients.
    """
    whole = np.ones((1, len(scored.labels)))
    weights = patient_resamples(scored, RESAMPLES, SEED)
    ranking = {
        "auc": measure(auc(scored, whole), auc(scored, weights)),
        "average_precision": measure(
            average_precision(scored, whole), average_precision(scored, weights)
        ),
    }
    table: dict[str, dict[str, Measure]] = {}
    for point, threshold in thresholds.items():
        value = rates(counts(scored, threshold, whole))
        draws = rates(counts(scored, threshold, weights))
        table[point] = ranking | {name: measure(value[name], draws[name]) for name in value}
    return table


def measure(value: NDArray[np.float64], draws: NDArray[np.float64]) -> Measure:
    """A value (1,) with the 2.5th and the 97.5th percentile of its bootstrap draws, to four places."""
    low, high = np.percentile(draws, (2.5, 97.5))
    return Measure(
        value=round(float(value[0]), 4), low=round(float(low), 4), high=round(float(high), 4)
    )


def figures(
    subject: str, precision: str, split: str, scored: Scored, thresholds: dict[str, float]
) -> list[Figures]:
    """One row per operating point; see `intervals`. Values are rounded to four places."""
    return [
        Figures(
            subject=subject,
            precision=precision,
            split=split,
            operating_point=point,
            threshold=thresholds[point],
            n=len(scored.labels),
            **{name: measures[name] for name in MEASURES},
        )
        for point, measures in intervals(scored, thresholds).items()
    ]
