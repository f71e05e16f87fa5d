"""Exact early exit: how few members decide the label that all of them would give.

y = a1 x1 + ... + an xn + b, and every x lies in [0, 1]. Once some members have been run, y is bounded by
what they contribute, b, and the sums of the negative and of the positive weights of the others. Where
the whole interval lies on one side of the threshold, the label is decided. Where the bundle has a band in which
y is indeterminate, a film is decided once the interval lies in the band or out of it as well.

"The label that all would give" is that of y as the head computes it, in float32. So the interval is widened by
all that float32 may add, and a tie with the threshold is decided as the whole ensemble decides it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import BundleError
from pneumo_edge.types import Interval

_UNIT = 2.0**-24
"""The relative error of one float32 operation, rounded to nearest (IEEE 754)."""

_TINY = 2.0**-120
"""Above what products that underflow can lose, flushed to zero or not."""

Probabilities = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Fusion:
    """The linear fusion as the head computes it."""

    weights: tuple[float, ...]
    """a_i, each known up to the rounding of one float32 sum."""

    bias: float
    """b, exactly as the head holds it."""

    margin: float
    """How far y in float32 may lie from what `weights` and `bias` give for inputs in [0, 1]."""

    @classmethod
    def probe(cls, fuse: Callable[[Sequence[float]], float], members: int, named: str) -> Fusion:
        """Learn a fusion from its answers at the corners of the unit cube.

        Args:
            fuse: y of that many probabilities, as the head computes it.
            members: How many there are.
            named: What to call the head in a message.

        Raises:
            BundleError: it is not linear, so that no interval would be right.

        Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1: a sum of n
        products and a constant, in any order and fused or not, is off by at most g times the sum of their
        magnitudes, where g = k u / (1 - k u) and k = n + 1.
        """
        corners = list(itertools.product((0.0, 1.0), repeat=members))
        answers = np.array([fuse(corner) for corner in corners])
        bias = float(answers[0])  # products of zero vanish, so nothing was rounded
        # At a unit vector one sum was rounded: a_i is known to half a unit in its last place.
        alone = np.array([fuse([float(i == j) for j in range(members)]) for i in range(members)])
        weights = alone - bias
        gamma = (members + 1) * _UNIT / (1 - (members + 1) * _UNIT)
        size = float(np.abs(weights).sum()) + abs(bias)
        unknown = _UNIT * float(np.abs(alone).sum())
        # The last term is for the float64 arithmetic of the bounds.
        margin = 1.01 * (gamma * (size + unknown) + unknown) + 2.0**-46 * size + _TINY
        if not np.all(np.abs(np.array(corners) @ weights + bias - answers) <= margin):
            raise BundleError(
                f"{named} does not fuse linearly in float32, as early exit needs",
                "pack the bundle again with pneumo-edge convert, or leave out --early-exit",
            )
        return cls(tuple(weights.tolist()), bias, margin)

    def bounds(
        self, probabilities: Probabilities, known: Collection[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Low and high of y, each (n,), once some members are known.

        Args:
            probabilities: (n, members) in [0, 1]; columns that are not in `known` are not read.
            known: The members that have been run, as columns.
        """
        ran = sorted(known)
        open_weights = [w for index, w in enumerate(self.weights) if index not in ran]
        factors = np.array([self.weights[index] for index in ran], np.float64)
        y = probabilities[:, ran].astype(np.float64) @ factors + self.bias
        low = y + sum(min(w, 0.0) for w in open_weights) - self.margin
        return low, y + sum(max(w, 0.0) for w in open_weights) + self.margin

    def interval(self, known: dict[int, float]) -> Interval:
        """Where y lies for one film, by the probabilities of the members that have been run."""
        row = np.zeros((1, len(self.weights)))
        for index, probability in known.items():
            row[0, index] = probability
        low, high = self.bounds(row, known)
        return Interval(float(low[0]), float(high[0]))


def undecided(
    fusion: Fusion,
    probabilities: Probabilities,
    threshold: float,
    known: Collection[int],
    band: Interval | None = None,
) -> NDArray[np.bool_]:
    """(n,): the films that need another member after those in `known`; every film needs one.

    Args:
        fusion: The head's.
        probabilities: (n, members).
        threshold: Of the operating point.
        known: The members that have been run, as columns.
        band: Where y is indeterminate, if the bundle says so.
    """
    low, high = fusion.bounds(probabilities, known)
    needs: NDArray[np.bool_] = (low <= threshold) & (high > threshold)
    if band is not None:
        inside = (low >= band.low) & (high <= band.high)
        needs |= ~inside & (high >= band.low) & (low <= band.high)
    if not known:
        return np.ones_like(needs)
    return needs if len(known) < len(fusion.weights) else np.zeros_like(needs)


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the members, as columns, and what it costs."""

    members: tuple[int, ...]
    share: float
    """Mean cost on the films that it was searched on, over the cost of the whole ensemble."""


def search_order(
    fusion: Fusion,
    probabilities: Probabilities,
    costs: Sequence[float],
    threshold: float,
    band: Interval | None = None,
) -> Order:
    """The order of least mean cost, out of all permutations; the first of equals.

    Args:
        fusion: The head's.
        probabilities: (n, members), n at least 1, of films that nothing is reported on.
        costs: What each member takes, in any unit, above 0.
        threshold: Of the operating point.
        band: Where y is indeterminate, if the bundle says so.
    """
    columns = range(len(costs))
    # Whether a film is decided depends on which members were run, not on their order.
    go_on = {
        frozenset(ran): float(undecided(fusion, probabilities, threshold, ran, band).mean())
        for size in columns
        for ran in itertools.combinations(columns, size)
    }

    def share(order: tuple[int, ...]) -> float:
        paid = sum(costs[m] * go_on[frozenset(order[:at])] for at, m in enumerate(order))
        return paid / sum(costs)

    best = min(itertools.permutations(columns), key=share)
    return Order(best, share(best))


@dataclass(frozen=True, slots=True)
class Replay:
    """What early exit would have saved on films whose probabilities are all known."""

    n: int
    share: float
    """Mean cost over the cost of the whole ensemble, 0 to 1."""
    mean_members: float
    """Members run for a film, on average."""
    ran: tuple[int, ...]
    """How many films were decided after 0, 1, ... all members; never after 0."""
    flips: int
    """Films whose early answer differs from that of the whole ensemble, in the label or in whether y lies in
    the band; 0, or there is a bug."""


def replay(
    fusion: Fusion,
    probabilities: Probabilities,
    costs: Sequence[float],
    threshold: float,
    order: Sequence[int],
    y: Probabilities | None = None,
    band: Interval | None = None,
) -> Replay:
    """Go through films as the runtime does, member by member.

    Args:
        fusion: The head's.
        probabilities: (n, members), n at least 1, in [0, 1].
        costs: What each member takes, in any unit.
        threshold: Of the operating point.
        order: The members, as columns, first to be run first.
        y: (n,) what the whole ensemble said; None for the fusion in float32.
        band: Where y is indeterminate, if the bundle says so.
    """
    n = len(probabilities)
    if y is None:
        factors = np.array(fusion.weights, np.float32)
        y = (probabilities.astype(np.float32) * factors).sum(1) + np.float32(fusion.bias)
    # Without a band no y is indeterminate: none lies above infinity.
    bottom, top = (band.low, band.high) if band is not None else (np.inf, np.inf)
    label, inside = np.zeros(n, bool), np.zeros(n, bool)
    cost, open_ = 0.0, np.ones(n, bool)
    ran = []
    for at in range(len(order) + 1):
        low, high = fusion.bounds(probabilities, order[:at])
        waits = open_ & undecided(fusion, probabilities, threshold, order[:at], band)
        done = open_ & ~waits
        least, most = (low, high) if at < len(order) else (y, y)
        label[done] = (least > threshold)[done]
        inside[done] = ((least >= bottom) & (most <= top))[done]
        ran.append(int(done.sum()))
        open_ = waits
        cost += costs[order[at]] * int(open_.sum()) if at < len(order) else 0.0
    mean = sum(count * at for at, count in enumerate(ran)) / n
    other = (label != (y > threshold)) | (inside != ((y >= bottom) & (y <= top)))
    flips = int(other.sum())
    return Replay(n, cost / (sum(costs) * n), mean, tuple(ran), flips)
