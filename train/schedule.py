"""The learning rate as a function of what has happened, so that a resumed run follows the same curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

from train.recipe import Constant, Cosine, MemberRecipe, Plateau

MIN_DELTA = 1e-4
"""A loss must fall by more than this to count as better; the default of Keras' ReduceLROnPlateau."""


def plateau_rate(start: float, plateau: Plateau, losses: Sequence[float]) -> float:
    """The rate after a sequence of monitored losses.

    Args:
        start: The first epoch's rate.
        plateau: Factor, patience and floor.
        losses: One per finished epoch.

    Returns:
        What Keras' ReduceLROnPlateau would have set, starting anew from the first loss.
    """
    rate, best, waited = start, float("inf"), 0
    for loss in losses:
        if loss < best - MIN_DELTA:
            best, waited = loss, 0
            continue
        waited += 1
        if waited >= plateau.patience:
            # Keras leaves a rate alone that was below the floor from the start.
            rate, waited = min(rate, max(rate * plateau.factor, plateau.floor)), 0
    return rate


def rate(member: MemberRecipe, losses: Sequence[float], step: int, steps: int) -> float:
    """The learning rate of one step.

    Args:
        member: The start and the kind of schedule.
        losses: Monitored losses of the finished epochs.
        step: From 0, over the whole run.
        steps: Of an epoch.
    """
    match member.schedule:
        case Plateau() as plateau:
            return plateau_rate(member.learning_rate, plateau, losses)
        case Constant(warmup_steps=warmup):
            return member.learning_rate * min(1.0, (step + 1) / (warmup + 1))
        case Cosine(warmup_steps=warmup):
            left = member.epochs * steps - warmup
            done = min(1.0, max(0, step - warmup) / max(1, left))
            ramp = min(1.0, (step + 1) / (warmup + 1))
            return member.learning_rate * ramp * (1 + math.cos(math.pi * done)) / 2
