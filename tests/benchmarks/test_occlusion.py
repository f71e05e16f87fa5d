from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.occlusion import ORDERS, SHARES, TENTH, area, blurred, curves, mixed, orders
from pneumo_edge.heatmap import MAP_SIDE, HeatMap
from pneumo_edge.types import SIDE, InputTensor


def heat(row: int, col: int) -> HeatMap:
    """One hot place."""
    values = np.zeros((MAP_SIDE, MAP_SIDE), np.float32)
    values[row, col] = 1
    return HeatMap(values, 0.0, 0.5, ("vgg16",))


def test_an_order_goes_through_every_place_once_and_starts_where_it_should() -> None:
    found = orders(heat(3, 20), True, np.random.default_rng(1))
    assert tuple(found) == ORDERS
    for order in found.values():
        np.testing.assert_array_equal(np.sort(order), np.arange(SIDE * SIDE))
    row, col = np.unravel_index(found["map"][0], (SIDE, SIDE))
    assert (row // 5, col // 5) == (3, 20)
    row, col = np.unravel_index(found["centre"][:4], (SIDE, SIDE))
    assert set(row) | set(col) == {74, 75}


def test_for_a_normal_film_the_coldest_place_goes_first() -> None:
    found = orders(heat(3, 20), False, np.random.default_rng(1))
    row, col = np.unravel_index(found["map"][-1], (SIDE, SIDE))
    assert (row // 5, col // 5) == (3, 20)


def test_a_map_that_knows_the_place_is_better_than_noise() -> None:
    """An ensemble that looks at one place only, which the map names."""
    film = np.full((SIDE, SIDE), 60, np.uint8)
    film[20:30, 100:110] = 250

    def y(tensor: InputTensor) -> float:
        return float(tensor.pixels[0, 20:30, 100:110, 0].mean() / 250)

    found = curves(film, orders(heat(5, 21), True, np.random.default_rng(2)), y)
    assert found.shape == (2, len(ORDERS), len(SHARES))
    np.testing.assert_allclose(found[0, :, 0], 1)
    np.testing.assert_allclose(found[1, :, -1], 1)
    empty = y(InputTensor(blurred(film).reshape(1, SIDE, SIDE, 1)))
    np.testing.assert_allclose(found[0, :, -1], empty)
    np.testing.assert_allclose(found[1, :, 0], empty)
    deletion, insertion = area(found)
    middle = ORDERS.index("centre")
    assert deletion[0] == deletion.min() < deletion[middle] - 0.1
    assert insertion[0] > insertion[middle] + 0.1
    # Noise that comes to the place late in deletion comes to it soon in insertion.
    noise = ORDERS.index("random")
    assert deletion[noise] == pytest.approx(insertion[noise])
    assert deletion[0] < deletion[noise] - 0.1


@given(share=st.floats(0, 1))
def test_a_film_is_mixed_in_those_places_and_no_others(share: float) -> None:
    below, above = np.zeros((SIDE, SIDE), np.uint8), np.full((SIDE, SIDE), 9, np.uint8)
    places = np.random.default_rng(4).permutation(SIDE * SIDE)[: round(share * SIDE * SIDE)]
    tensor = mixed(below, above, places)
    assert int((tensor.pixels == 9).sum()) == len(places)
    assert below.max() == 0


def test_areas_are_means_over_the_film() -> None:
    assert area(np.full(len(SHARES), 0.7)) == pytest.approx(0.7)
    assert area(np.array(SHARES)) == pytest.approx(0.5)
    assert SHARES[TENTH] == pytest.approx(0.1)
    assert [1 - s for s in SHARES[::-1]] == pytest.approx(list(SHARES)), "or random is not mirrored"
