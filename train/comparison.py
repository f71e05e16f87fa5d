"""Two models on the same films: does one do better, or was it luck?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pneumo_edge.manifest import Measure, Struct
from train.metrics import RESAMPLES, SEED, Scored, auc, counts, measure, patient_resamples, rates


class Comparison(Struct, frozen=True):
    """How a model did against another on the same films."""

    split: str
    subject: str
    threshold: float
    other: str
    other_threshold: float
    n: int
    only_subject_right: int
    """Films that the subject names rightly and the other wrongly."""
    only_other_right: int
    p_value: float
    """Of McNemar's exact test, two-sided: how often chance alone makes two equally good models differ so
    much. It takes every film for a patient of its own."""
    accuracy_difference: Measure
    """The subject's less the other's; the interval is by patient, both models on the same draws."""
    auc_difference: Measure


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact test's p-value: the discordant films are tosses of a fair coin.

    Returns:
        In (0, 1]; 1 where the two are never of different success.
    """
    discordant = only_one + only_other
    return float(binomtest(only_one, discordant, 0.5).pvalue) if discordant else 1.0


def compare(
    split: str,
    names: tuple[str, str],
    models: tuple[Scored, Scored],
    thresholds: tuple[float, float],
) -> Comparison:
    """Compare two models at a threshold each.

    Args:
        split: What the films are called.
        names: The subject's and the other's.
        models: Their scores of the same films in the same order.
        thresholds: Of each; positive is above.
    """
    right = [(m.scores > t) == m.labels for m, t in zip(models, thresholds, strict=True)]
    only_one, only_other = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    draws = (np.ones((1, len(models[0].labels))), patient_resamples(models[0], RESAMPLES, SEED))
    accuracy = [
        _accuracy(models[0], thresholds[0], w) - _accuracy(models[1], thresholds[1], w)
        for w in draws
    ]
    area = [auc(models[0], w) - auc(models[1], w) for w in draws]
    return Comparison(
        split=split,
        subject=names[0],
        threshold=thresholds[0],
        other=names[1],
        other_threshold=thresholds[1],
        n=len(models[0].labels),
        only_subject_right=only_one,
        only_other_right=only_other,
        p_value=mcnemar(only_one, only_other),
        accuracy_difference=measure(*accuracy),
        auc_difference=measure(*area),
    )


def _accuracy(
    scored: Scored, threshold: float, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    return rates(counts(scored, threshold, weights))["accuracy"]
