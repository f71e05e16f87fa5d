"""Repeated measurements of one thing, and their spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of the laps, in the laps' own unit; each is a lap that was really run (nearest rank)."""

    p50: float
    p90: float
    p99: float
    worst: float
    best: float
    laps: tuple[float, ...]
    """Every lap, in the order in which it was run."""

    @property
    def relative(self) -> float:
        """(p90 - best) / p50: how much the machine's noise blurs the figure."""
        return (self.p90 - self.best) / self.p50


def spread(laps: Sequence[float]) -> Spread:
    """Summarise at least one lap.

    Raises:
        ValueError: there is none.
    """
    if not laps:
        raise ValueError("no lap was run")
    ordered = sorted(laps)

    def rank(fraction: float) -> float:
        return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]

    return Spread(rank(0.5), rank(0.9), rank(0.99), ordered[-1], ordered[0], tuple(laps))


def laps_ms(
    call: Callable[[], object], runs: int, warmup: int, now_ns: Callable[[], int]
) -> Spread:
    """Wall times of `call` in milliseconds, after `warmup` untimed calls.

    Args:
        call: What is timed.
        runs: Timed calls, at least 1.
        warmup: Untimed calls before them.
        now_ns: A monotonic clock in nanoseconds, for instance `time.perf_counter_ns`.
    """
    for _ in range(warmup):
        call()
    laps = []
    for _ in range(runs):
        start = now_ns()
        call()
        laps.append((now_ns() - start) / 1e6)
    return spread(laps)
