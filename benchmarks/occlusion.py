"""Taking a film away place by place, the hottest first: does y follow the heat map?

A place is taken away by putting a strongly blurred film there, which keeps the grey level and holds no
finding; deletion does so from the hottest place on, insertion gives the film back to a blurred one. y counts
for the label that the whole film got: v = y for pneumonia, 1 - y for normal. A good map has v fall quickly and
rise quickly.

Source: V. Petsiuk, A. Das, K. Saenko, "RISE: randomized input sampling for explanation of black-box models", 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.heatmap import HeatMap, upsample
from pneumo_edge.types import SIDE, InputTensor

SHARES = (0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0)
"""Of the film that is taken away or given back."""

TENTH = SHARES.index(0.1)
ORDERS = ("map", "random", "centre")
"""The heat map; noise as smooth as it; from the film's middle outwards, where most of any chest film's content is."""

BLUR = 15.0
"""Standard deviation, in pixels of 150: as wide as half a position of a feature map."""

Grey = NDArray[np.uint8]
Order = NDArray[np.intp]
"""(22500,): places, the first to go first."""


def orders(heat: HeatMap, pneumonia: bool, rng: np.random.Generator) -> dict[str, Order]:
    """By heat for the label that the film got, by noise of the same grain, and by distance from the middle."""
    warm = upsample(heat.values if pneumonia else -heat.values, SIDE, SIDE)
    noise = np.asarray(
        cv2.resize(rng.normal(size=(5, 5)).astype(np.float32), (SIDE, SIDE)), np.float32
    )
    places = np.arange(SIDE) - (SIDE - 1) / 2
    near = -np.hypot(places[:, None], places)
    return {
        name: np.argsort(-values, axis=None, kind="stable")
        for name, values in zip(ORDERS, (warm, noise, near), strict=True)
    }


def blurred(film: Grey) -> Grey:
    """(150, 150): what is left of a film where it is taken away."""
    return np.asarray(cv2.GaussianBlur(film, (0, 0), BLUR), np.uint8)


def mixed(below: Grey, above: Grey, places: Order) -> InputTensor:
    """`below` with `above` in some places."""
    pixels = below.copy().reshape(-1)
    pixels[places] = above.reshape(-1)[places]
    return InputTensor(pixels.reshape(1, SIDE, SIDE, 1))


def curves(
    film: Grey, given: dict[str, Order], y: Callable[[InputTensor], float]
) -> NDArray[np.float64]:
    """Y along deletion and insertion.

    Args:
        film: (150, 150), prepared.
        given: As of `orders`.
        y: Of the ensemble.

    Returns:
        (2, orders, shares): deletion, insertion. A random order is as random backwards, so its insertion is
        its deletion read from the end.
    """
    empty = blurred(film)
    ends = y(mixed(film, film, np.empty(0, np.intp))), y(mixed(empty, empty, np.empty(0, np.intp)))
    found = np.empty((2, len(given), len(SHARES)))
    found[0, :, 0] = found[1, :, -1] = ends[0]
    found[0, :, -1] = found[1, :, 0] = ends[1]
    for at, (name, order) in enumerate(given.items()):
        for step, share in enumerate(SHARES[1:-1], 1):
            places = order[: round(share * order.size)]
            found[0, at, step] = y(mixed(film, empty, places))
            if name != "random":
                found[1, at, step] = y(mixed(empty, film, places))
        if name == "random":
            found[1, at] = found[0, at, ::-1]
    return found


def area(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Under curves (..., shares), by trapezoids: the mean of v over the shares."""
    steps = np.diff(SHARES)
    middles = (values[..., 1:] + values[..., :-1]) / 2
    return np.asarray((middles * steps).sum(-1), np.float64)
