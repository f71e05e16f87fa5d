"""How far the candidates' answers lie apart on the user's own films, and what early exit would save there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import EarlyExit, Flip, Parity
from pneumo_edge.bundle import Bundle
from pneumo_edge.early_exit import Fusion, search_order, undecided
from pneumo_edge.ensemble import band_of
from pneumo_edge.held_out import read_held_out
from pneumo_edge.types import Interval


def parity(
    candidate: str,
    reference: str,
    films: Sequence[str],
    y: Mapping[str, Sequence[float]],
    thresholds: Mapping[str, float],
) -> Parity:
    """Compare two candidates' y, film by film.

    Args:
        candidate: A key of `y`.
        reference: Another.
        films: Names, at least one.
        y: By candidate, in the order of the films.
        thresholds: By operating point; pneumonia is above.
    """
    ours, theirs = np.array(y[candidate]), np.array(y[reference])
    moved = np.abs(ours - theirs)
    flipped = [
        Flip(films[int(at)], point, round(float(theirs[at]), 6), round(float(ours[at]), 6))
        for point, threshold in thresholds.items()
        for at in np.flatnonzero((ours > threshold) != (theirs > threshold))
    ]
    return Parity(
        candidate=candidate,
        reference=reference,
        films=len(films),
        mean_abs_dy=round(float(moved.mean()), 6),
        worst_abs_dy=round(float(moved.max()), 6),
        flips={p: sum(flip.operating_point == p for flip in flipped) for p in thresholds},
        flipped=flipped,
    )


def early_exit(
    bundle: Bundle,
    fusion: Fusion,
    costs: Sequence[float],
    films: NDArray[np.float32] | None,
) -> list[EarlyExit]:
    """The share of the whole ensemble's cost, at each operating point.

    Args:
        bundle: Its held-out films choose the order.
        fusion: The head's.
        costs: Of the members as measured, in the manifest's order.
        films: (n, members) probabilities of the user's films; None to report on the held-out ones.

    Returns:
        Empty where there are neither films nor held-out ones.
    """
    held_out = read_held_out(bundle)
    names = [member.name for member in bundle.manifest.members]
    shown = films if films is not None else held_out.probabilities if held_out else None
    if shown is None:
        return []
    source = "the user's films" if films is not None else "held-out films, which chose the order"
    found = []
    for point, threshold in bundle.manifest.operating_points.items():
        band = band_of(bundle, point)
        order: tuple[int, ...] = tuple(map(names.index, bundle.manifest.evaluation_order))
        if held_out is not None:
            order = search_order(fusion, held_out.probabilities, costs, threshold, band).members
        share, ran = share_of_cost(fusion, shown, costs, threshold, order, band)
        ordered = [names[column] for column in order]
        found.append(EarlyExit(point, ordered, len(shown), source, round(share, 4), ran))
    return found


def share_of_cost(
    fusion: Fusion,
    probabilities: NDArray[np.float32],
    costs: Sequence[float],
    threshold: float,
    order: Sequence[int],
    band: Interval | None = None,
) -> tuple[float, list[int]]:
    """Mean cost over the whole ensemble's, and how many films ran 1, 2, ... members."""
    running = [
        undecided(fusion, probabilities, threshold, frozenset(order[:at]), band).sum()
        for at in range(len(order))
    ]
    paid = sum(costs[member] * count for member, count in zip(order, running, strict=True))
    ended = [int(before - after) for before, after in zip(running, [*running[1:], 0], strict=True)]
    return float(paid / (sum(costs) * len(probabilities))), ended
