from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.order import counted_costs, default_order
from pneumo_edge.bundle import load_bundle
from pneumo_edge.early_exit import Fusion
from pneumo_edge.types import Interval

UNIT = st.floats(0, 1, width=32)


def paid(
    fusion: Fusion, film: list[float], costs: list[float], threshold: float, order: tuple[int, ...]
) -> float:
    """What one film costs, member by member, as the runtime goes."""
    known: dict[int, float] = {}
    total = 0.0
    for member in order:
        total += costs[member]
        known[member] = film[member]
        if fusion.interval(known).label(threshold) is not None:
            break
    return total


@given(
    weights=st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4),
    films=st.lists(st.lists(UNIT, min_size=4, max_size=4), min_size=1, max_size=6),
    costs=st.lists(st.floats(0.5, 100), min_size=4, max_size=4),
    thresholds=st.lists(UNIT, min_size=1, max_size=3),
)
def test_no_other_order_is_cheaper_over_the_operating_points_together(
    weights: list[float], films: list[list[float]], costs: list[float], thresholds: list[float]
) -> None:
    fusion = Fusion(tuple(weights), 0.1, 1e-6)
    p = np.array(films, np.float32)
    found = default_order(fusion, p, costs, thresholds)
    nowhere = [Interval(9.0, 9.0)] * len(thresholds)  # y never comes near
    assert default_order(fusion, p, costs, thresholds, nowhere) == found
    every = {
        order: sum(paid(fusion, film, costs, at, order) for film in p.tolist() for at in thresholds)
        for order in itertools.permutations(range(4))
    }
    assert every[found] <= min(every.values()) * (1 + 1e-9)


def test_the_costs_are_the_members_arithmetic(shipped_bundle: Path) -> None:
    manifest = load_bundle(shipped_bundle).manifest
    files = {m.name: (shipped_bundle / m.file).read_bytes() for m in manifest.members}
    vgg16, vgg19, resnet50, _ = counted_costs(files, (shipped_bundle / manifest.head).read_bytes())
    # He et al. 2016, section 3.3 and Table 1, at 224 px: 15.3, 19.6 and 3.8 thousand million.
    assert vgg19 / vgg16 == pytest.approx(19.6 / 15.3, rel=0.05)
    assert vgg16 / resnet50 == pytest.approx(15.3 / 3.8, rel=0.2)
