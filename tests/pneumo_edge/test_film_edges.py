"""Edges of films in pictures of them, against corners that are known since they were drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pneumo_edge.film_edges import Quad, find_quads, is_flat_between, is_inside

SIZE = (480, 640)
ROOM, BOX, SIDE = 30, 245, 180.0


def scene(corners: NDArray[np.float64], margin: float = 40) -> NDArray[np.uint8]:
    """A film with a gradient on a light box in a dark room."""
    picture = np.full(SIZE, ROOM, np.uint8)
    middle = corners.mean(axis=0)
    away = (corners - middle) / np.linalg.norm(corners - middle, axis=1, keepdims=True)
    cv2.fillConvexPoly(picture, np.rint(corners + away * margin).astype(np.int32), BOX)
    film = np.tile(np.linspace(20, 180, 200), (200, 1)).astype(np.uint8)
    from_film = np.array([[0, 0], [200, 0], [200, 200], [0, 200]], np.float32) - 0.5
    view = cv2.getPerspectiveTransform(from_film, corners.astype(np.float32))
    shown = cv2.warpPerspective(film, view, SIZE[::-1], flags=cv2.INTER_LINEAR)
    inside = cv2.warpPerspective(np.full_like(film, 255), view, SIZE[::-1], flags=cv2.INTER_LINEAR)
    return np.where(inside > 127, shown, picture).astype(np.uint8)


def square(turn: float, push: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 2), turned by so many degrees, each corner pushed by so many pixels."""
    angle = np.deg2rad(turn)
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * SIDE / 2 * [1.2, 1.0]
    return np.asarray(corners @ axes + [320, 240] + push)


PUSH = st.lists(st.floats(-14, 14), min_size=8, max_size=8)


@settings(max_examples=25)
@given(turn=st.floats(-20, 20), push=PUSH)
def test_a_films_corners_are_found_to_a_pixel_and_a_half(turn: float, push: list[float]) -> None:
    corners = square(turn, np.reshape(push, (4, 2)))
    films = [quad for quad in find_quads(scene(corners)) if quad.lit.all()]
    assert films
    off = min(np.linalg.norm(quad.corners - corners, axis=1).max() for quad in films)
    assert off <= 1.5, f"{off:.2f} pixels of a film of {SIDE:.0f}"


def test_the_light_box_is_told_from_the_film_by_its_dark_surroundings() -> None:
    outer, inner = find_quads(scene(square(7, np.zeros((4, 2)))))[:2]
    assert not outer.lit.any()
    assert inner.lit.all()
    assert is_inside(inner, outer)
    assert not is_inside(outer, inner)
    assert is_flat_between(scene(square(7, np.zeros((4, 2)))), inner, outer)


def test_a_larger_picture_has_the_same_corners() -> None:
    small = scene(square(5, np.zeros((4, 2))))
    large = cv2.resize(small, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    (ours,) = [quad for quad in find_quads(np.asarray(large, np.uint8)) if quad.lit.all()]
    assert np.abs((ours.corners - 1) / 3 - square(5, np.zeros((4, 2)))).max() < 1.5


def test_a_film_that_goes_on_beyond_the_picture_is_cut() -> None:
    picture = np.full(SIZE, BOX, np.uint8)
    picture[100:400, :300] = 90
    found = [quad for quad in find_quads(picture) if quad.cut]
    assert [quad.cut for quad in found] == [("left",)]
    assert found[0].area == pytest.approx(300 * 300, rel=0.03)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_has_no_quadrilateral(level: int) -> None:
    assert find_quads(np.full(SIZE, level, np.uint8)) == []


def test_neither_has_noise() -> None:
    noise = np.random.default_rng(3).integers(0, 256, SIZE, np.uint8)
    assert [quad for quad in find_quads(noise) if quad.support.mean() > 0.8] == []


def test_what_is_not_flat_between_two_quadrilaterals_is_part_of_the_film() -> None:
    rows, cols = np.mgrid[0:480, 0:640]
    waves = (127 + 100 * np.sin(rows / 9) * np.sin(cols / 9)).astype(np.uint8)
    support, lit = np.ones(4), np.ones(4, bool)

    def box(low: float, high: float) -> Quad:
        corners = np.array([[low, low], [high, low], [high, high], [low, high]])
        return Quad(corners, support, lit, (high - low) ** 2, ())

    assert not is_flat_between(waves, box(150, 300), box(50, 420))
