"""Whether a score can be read as a probability: reliability, Brier score, calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from pneumo_edge.manifest import Measure, Struct
from train.metrics import RESAMPLES, SEED, Scored, measure, patient_resamples

BINS = 10
"""Of equal width, over 0 to 1; a usual choice, on which the calibration error depends."""


class Bin(Struct, frozen=True):
    """The films whose predicted probability falls into one tenth of 0 to 1."""

    predicted: float
    """Mean of the predicted probabilities."""
    observed: Measure
    """Share that has pneumonia, with Wilson's 95 % interval (which takes the films for independent)."""
    n: int


class Calibration(Struct, frozen=True):
    """How far predicted probabilities are those that come true, on one split."""

    split: str
    subject: str
    n: int
    brier: Measure
    """Mean squared distance of probability and label: 0 is perfect."""
    ece: float
    """Expected calibration error: mean distance of predicted and observed over the bins, by their films."""
    bins: list[Bin]
    """Those that hold films, ascending."""


def reliability(split: str, subject: str, scored: Scored) -> Calibration:
    """Measure the calibration of probabilities.

    Args:
        split: What the films are called.
        subject: What the probabilities are called.
        scored: Scores in [0, 1].
    """
    p, labels = scored.scores, scored.labels
    observed, predicted = calibration_curve(labels, p, n_bins=BINS, strategy="uniform")
    # The edges of scikit-learn's bins, which it does not hand out with their counts.
    index = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], p)
    counts = np.bincount(index, minlength=BINS)
    counts = counts[counts > 0]
    bins = [
        _bin(float(x), float(y), int(n))
        for x, y, n in zip(predicted, observed, counts, strict=True)
    ]
    draws = patient_resamples(scored, RESAMPLES, SEED)
    squared = draws @ (p - labels) ** 2 / draws.sum(axis=1)
    return Calibration(
        split=split,
        subject=subject,
        n=len(labels),
        brier=measure(np.array([brier_score_loss(labels, p)]), squared),
        ece=round(float(np.average(np.abs(observed - predicted), weights=counts)), 4),
        bins=bins,
    )


def _bin(predicted: float, observed: float, n: int) -> Bin:
    interval = binomtest(round(observed * n), n).proportion_ci(method="wilson")
    share = Measure(
        value=round(observed, 4),
        low=round(float(interval.low), 4),
        high=round(float(interval.high), 4),
    )
    return Bin(predicted=round(predicted, 4), observed=share, n=n)


def clipped(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cut y to [0, 1]: a linear regression's value, which no rule keeps in there."""
    return np.clip(y, 0.0, 1.0)


def calibrated(
    held_out: NDArray[np.float64], labels: NDArray[np.int64], y: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Turn y into a probability by two maps that are fitted on held-out films alone.

    Args:
        held_out: (m,), y of the held-out films.
        labels: (m,), theirs.
        y: (n,), of the films to tell.

    Returns:
        By method, (n,) in [0, 1]. Platt: a logistic curve, without a penalty. Isotonic: any rising step
        function, constant beyond the held-out values. Both hold for the held-out films' share of
        pneumonia; where another share comes in, they are off.
    """
    platt = LogisticRegression(C=np.inf).fit(held_out[:, np.newaxis], labels)
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(held_out, labels)
    return {
        "y, Platt": np.asarray(platt.predict_proba(y[:, np.newaxis])[:, 1]),
        "y, isotonic": np.asarray(isotonic.predict(y)),
    }
