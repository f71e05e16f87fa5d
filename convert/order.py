"""The order in which a bundle's members are run where nobody has measured what each of them costs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from convert import work
from pneumo_edge.early_exit import Fusion, replay
from pneumo_edge.types import Interval


def default_order(
    fusion: Fusion,
    probabilities: NDArray[np.float32],
    costs: Sequence[float],
    thresholds: Sequence[float],
    bands: Sequence[Interval | None] | None = None,
) -> tuple[int, ...]:
    """The one order of least mean cost with early exit, over all operating points; the first of equals.

    Args:
        fusion: The head's.
        probabilities: (n, members), n at least 1, of the films that the fusion was fitted on.
        costs: What each member takes, in any unit, above 0.
        thresholds: One for each operating point.
        bands: Where y is indeterminate at each of them; None where that is not said.

    Returns:
        The members, as columns.
    """
    points = list(zip(thresholds, bands or [None] * len(thresholds), strict=True))

    def share(order: tuple[int, ...]) -> float:
        return sum(
            replay(fusion, probabilities, costs, threshold, order, band=band).share
            for threshold, band in points
        )

    return min(itertools.permutations(range(len(costs))), key=share)


def counted_costs(backbones: Mapping[str, bytes], head: bytes) -> list[float]:
    """Multiply-accumulates of each member for one film: what a device will take nobody knows yet.

    The runtime searches the order anew for what it measures.
    """
    return [float(member.macs) for member in work.count(backbones, head)]
