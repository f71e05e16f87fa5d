"""Other ways to make one answer of the members' four, to show what the fusion gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from pneumo_edge.manifest import MEMBER_NAMES, Measure
from train.fuse import PAPER_THRESHOLD, balanced_threshold
from train.held_out import HeldOut
from train.metrics import RESAMPLES, SEED, Scored, measure, patient_resamples

Combine = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Probabilities (n, 4) to scores (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Alternative:
    """A way to combine the members, settled on held-out films alone."""

    name: str
    combine: Combine
    thresholds: dict[str, float]
    """paper: 0.5. balanced: as the fusion's own is chosen, on the same held-out films."""


def best_member(held_out: HeldOut) -> str:
    """The member with the largest AUC on the held-out films."""
    areas = [roc_auc_score(held_out.labels, column) for column in held_out.probabilities.T]
    return MEMBER_NAMES[int(np.argmax(areas))]


def alternatives(
    held_out: HeldOut, weights: NDArray[np.float64], bias: float
) -> tuple[Alternative, ...]:
    """The fusion and what it is compared with: plain mean, logistic stacking, the best member.

    Args:
        held_out: What stacking is fitted on, the best member chosen and each threshold set.
        weights: (4,), the fusion's.
        bias: The fusion's.
    """
    column = MEMBER_NAMES.index(best_member(held_out))
    stacking = LogisticRegression().fit(held_out.probabilities, held_out.labels)
    ways: dict[str, Combine] = {
        "linear fusion": lambda p: p @ weights + bias,
        "plain mean": lambda p: p.mean(axis=1),
        "logistic stacking": lambda p: np.asarray(stacking.predict_proba(p)[:, 1]),
        f"best member ({MEMBER_NAMES[column]})": lambda p: p[:, column],
    }
    return tuple(
        Alternative(
            name,
            combine,
            {
                "paper": PAPER_THRESHOLD,
                "balanced": balanced_threshold(combine(held_out.probabilities), held_out.labels),
            },
        )
        for name, combine in ways.items()
    )


def weight_intervals(held_out: HeldOut) -> dict[str, Measure] | None:
    """The fusion's weights by member, fitted anew on each bootstrap draw of held-out patients.

    Returns:
        None where the patients are not known.
    """
    if held_out.patients is None:
        return None
    p, labels = held_out.probabilities, held_out.labels
    draws = patient_resamples(Scored(p[:, 0], labels, held_out.patients), RESAMPLES, SEED)
    fitted = np.stack([LinearRegression().fit(p, labels, draw).coef_ for draw in draws])
    value = LinearRegression().fit(p, labels).coef_
    return {name: measure(value[k : k + 1], fitted[:, k]) for k, name in enumerate(MEMBER_NAMES)}
