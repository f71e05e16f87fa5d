from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.agreement import parity, share_of_cost
from pneumo_edge.early_exit import Fusion

WEIGHTS = st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4)
UNIT = st.floats(0, 1, width=32)
FILMS = st.lists(st.lists(UNIT, min_size=4, max_size=4), min_size=1, max_size=8)
COSTS = st.lists(st.floats(0.1, 100), min_size=4, max_size=4)
ORDERS = st.sampled_from(list(itertools.permutations(range(4))))


@given(weights=WEIGHTS, films=FILMS, costs=COSTS, order=ORDERS, threshold=UNIT)
def test_the_share_is_that_of_running_film_by_film(
    weights: list[float],
    films: list[list[float]],
    costs: list[float],
    order: tuple[int, ...],
    threshold: float,
) -> None:
    fusion = Fusion(tuple(weights), 0.1, 1e-6)
    paid, ended = 0.0, [0, 0, 0, 0]
    for film in films:  # as the runtime does it, one member after the other
        known: dict[int, float] = {}
        for member in order:
            paid += costs[member]
            known[member] = film[member]
            if fusion.interval(known).label(threshold) is not None or len(known) == 4:
                break
        ended[len(known) - 1] += 1
    share, ran = share_of_cost(fusion, np.array(films, np.float32), costs, threshold, order)
    assert ran == ended
    np.testing.assert_allclose(share, paid / (sum(costs) * len(films)), rtol=1e-9)


def test_flips_are_listed_by_film_and_counted_by_operating_point() -> None:
    y = {"int8": [0.2, 0.51, 0.9], "float": [0.21, 0.49, 0.9]}
    found = parity("int8", "float", ["a", "b", "c"], y, {"paper": 0.5, "screening": 0.205})
    assert found.worst_abs_dy == 0.02
    assert found.mean_abs_dy == 0.01
    assert found.flips == {"paper": 1, "screening": 1}
    assert [(flip.film, flip.operating_point) for flip in found.flipped] == [
        ("b", "paper"),
        ("a", "screening"),
    ]
    assert found.flipped[0].reference == 0.49
