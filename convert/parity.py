"""Parity: how far the int8 bundle strays from the float32 members, film by film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from convert.member import MemberReport
from pneumo_edge.manifest import MEMBER_NAMES, ParityRow, Struct
from train.fuse import PAPER_THRESHOLD
from train.recipe import ParityBudget

FUSED = "fused"


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one ensemble said of some films."""

    probabilities: NDArray[np.float64]
    """(n, 4), in the order of x1 to x4."""

    y: NDArray[np.float64]
    """(n,), the fused value."""


class Flip(Struct, frozen=True):
    """A film whose label quantization changed."""

    film: str
    """class folder/file name"""
    subject: str
    """fused, or a member's name."""
    operating_point: str
    threshold: float
    float32: float
    int8: float


class ParityReport(Struct, frozen=True):
    """What `--report` writes: the table, and every label that flipped."""

    bundle: str
    """The bundle's id."""
    split: str
    rows: list[ParityRow]
    flips: list[Flip]
    over_budget: list[str]
    """Each bar of the recipe that was missed, with the figure; empty where all are met."""
    members: list[MemberReport]
    """What quantization cost each, on representative films."""


def compare(
    exact: Answers,
    quantized: Answers,
    labels: NDArray[np.int64],
    films: Sequence[str],
    thresholds: Mapping[str, float],
) -> tuple[list[ParityRow], list[Flip]]:
    """The parity table and the flips, of the fusion first and then of each member.

    Args:
        exact: Of the float32 members.
        quantized: Of the bundle, on the same prepared tensors.
        labels: (n,) of 0 and 1, both present.
        films: (n,) names.
        thresholds: On y, by operating point. A member is read at the paper's 0.5.
    """
    subjects = [(FUSED, exact.y, quantized.y, dict(thresholds))]
    for name, before, after in zip(
        MEMBER_NAMES, exact.probabilities.T, quantized.probabilities.T, strict=True
    ):
        subjects.append((name, before, after, {"paper": PAPER_THRESHOLD}))
    rows, flips = [], []
    for subject, before, after, points in subjects:
        changed = _flips(subject, before, after, films, points)
        moved = np.abs(after - before)
        row = ParityRow(
            subject=subject,
            n=len(films),
            mean_abs_dp=round(float(moved.mean()), 6),
            worst_abs_dp=round(float(moved.max()), 6),
            auc_float=round(float(roc_auc_score(labels, before)), 6),
            auc_int8=round(float(roc_auc_score(labels, after)), 6),
            flips={p: sum(flip.operating_point == p for flip in changed) for p in points},
        )
        rows.append(row)
        flips += changed
    return rows, flips


def over_budget(rows: Sequence[ParityRow], budget: ParityBudget) -> list[str]:
    """The bars that the fusion misses, each in words with its figure."""
    (fused,) = [row for row in rows if row.subject == FUSED]
    bars = [
        ("AUC off by", abs(fused.auc_int8 - fused.auc_float), budget.auc),
        ("mean |dy|", fused.mean_abs_dp, budget.mean_dy),
        ("worst |dy|", fused.worst_abs_dp, budget.worst_dy),
    ]
    missed = [f"{what} {got:.4f}, above {bar:g}" for what, got, bar in bars if got > bar]
    for point, count in fused.flips.items():
        kept = 1 - count / fused.n
        if kept < budget.labels:
            missed.append(f"labels equal on {kept:.2%} at {point}, below {budget.labels:.2%}")
    return missed


def _flips(
    subject: str,
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    films: Sequence[str],
    points: Mapping[str, float],
) -> list[Flip]:
    return [
        Flip(
            film=films[int(at)],
            subject=subject,
            operating_point=point,
            threshold=threshold,
            float32=round(float(before[at]), 6),
            int8=round(float(after[at]), 6),
        )
        for point, threshold in points.items()
        for at in np.flatnonzero((before > threshold) != (after > threshold))
    ]
