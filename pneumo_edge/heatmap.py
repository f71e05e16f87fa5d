"""Where the members saw what moved y: their maps, each in its place on the film, fused as their votes are.

The head gives of each member how much every position of its feature map adds to its logit (HiResCAM; see
convert/head.py). A member that is undecided, logit 0, votes 1/2; by its logit l it votes 1/2 + s l, where
s = tanh(l / 2) / (2 l). So a_i s_i times its map is what each position adds to y, and y itself is

    y = (b + sum of a_i / 2)  +  sum of the fused map  +  what lies in no place (the classifiers' biases).

The slope of the chord, s, and not of the tangent, p (1 - p): that one vanishes where a member is sure, so
that the least sure member alone would be shown. DeepLIFT's rescale rule is the same choice.

Source: A. Shrikumar, P. Greenside, A. Kundaje, "Learning important features through propagating activation
differences", 2017, section 3.5.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.manifest import Grid, Manifest
from pneumo_edge.types import SIDE, Frame, MemberScore, Radiograph

MAP_SIDE = 30
"""Rows and columns of a fused map: cells of 5 pixels of the members' input. The members know no more than their own
4 x 4 or 5 x 5 positions; so many cells are needed because these lie in other places for each member."""

STRIP = 256
"""Rows of a film that are worked on at a time, so that a large film costs no more memory."""


@dataclass(frozen=True, slots=True, eq=False)
class HeatMap:
    """What each place of a film adds to y."""

    values: NDArray[np.float32]
    """(30, 30) over the film, whatever its shape: above 0 towards pneumonia, below 0 towards normal. The sum is what
    of y has a place."""

    nowhere: float
    """What the classifiers' biases add to y, which lies in no place."""

    undecided: float
    """y if each of the members were undecided; `undecided` + `nowhere` + the sum of `values` is y."""

    members: tuple[str, ...]
    """Those that were run, and so those that are fused."""


def slope(logit: float) -> float:
    """(p - 1/2) / logit of p = 1 / (1 + exp(-logit)): above 0, 1/4 at 0."""
    return 0.25 if abs(logit) < 1e-6 else math.tanh(logit / 2) / (2 * logit)


def fuse(scores: Sequence[MemberScore], manifest: Manifest, frame: Frame | None = None) -> HeatMap:
    """Fuse the maps of the members that were run.

    Args:
        scores: With maps. After an early exit not of all members: the heat map then is of the votes that
            decided the label, and adds up to what they give without the others.
        manifest: Has the weights a_i, the bias b, and where each member's positions lie.
        frame: The part of the film that the members saw; None for all of it. What lies outside adds nothing.

    Raises:
        ValueError: a score has no map.
    """
    members = {member.name: member for member in manifest.members}
    total = np.zeros((MAP_SIDE, MAP_SIDE))
    nowhere, undecided = 0.0, manifest.bias
    left, top, right, bottom = (side * SIDE for side in (frame or Frame()).box)
    for score in scores:
        if score.map is None:
            raise ValueError(f"{score.name} was scored without its map")
        member, added = members[score.name], score.map.astype(np.float64)
        factor = member.weight * slope(score.logit)
        down = _spread(member.grid, added.shape[0], top, bottom)
        across = _spread(member.grid, added.shape[1], left, right)
        total += factor * (down @ added @ across.T)
        nowhere += factor * (score.logit - float(added.sum()))
        undecided += member.weight / 2
    names = tuple(score.name for score in scores)
    return HeatMap(total.astype(np.float32), nowhere, undecided, names)


def _spread(grid: Grid | None, count: int, low: float, high: float) -> NDArray[np.float64]:
    """(30, count): what share of a position's value each cell gets; every column adds up to 1.

    Between the middles of two positions it goes over from one to the other in a straight line, and
    beyond the outermost ones it is theirs, up to the frame's edge. A bundle that does not say where they lie
    has them placed evenly.

    Args:
        grid: Of the positions on the members' input.
        count: Of positions.
        low: Where the members' input begins on the film, in pixels of the prepared film.
        high: Where it ends.
    """
    factor = (high - low) / SIDE
    step = (grid.step if grid else SIDE / count) * factor
    middles = low + (grid.first * factor if grid else step / 2) + step * np.arange(count)
    cells = (np.arange(MAP_SIDE) + 0.5) * (SIDE / MAP_SIDE)
    inside = cells.clip(middles[0], middles[-1])
    near = np.clip(1 - np.abs(inside[:, None] - middles) / step, 0, 1)
    near[(cells < low) | (cells > high)] = 0
    # A position that saw only what was repeated beyond the film's edge is told at that edge.
    for position in np.flatnonzero(near.sum(0) == 0):
        near[np.abs(cells - middles[position]).argmin(), position] = 1
    return np.asarray(near / near.sum(0))


def upsample(values: NDArray[np.float32], rows: int, cols: int) -> NDArray[np.float32]:
    """A fused map on the film that it is of.

    A film is squashed to a square on its way to the members, so its way back is a plain enlargement.

    Args:
        values: (30, 30), or any other map over the whole film.
        rows: Of the film.
        cols: Of the film.

    Returns:
        (rows, cols), bilinear, in the units of `values`: not divided among the pixels of a cell.
    """
    return np.concatenate([strip for _, strip in strips(values, rows, cols)])


def strips(
    values: NDArray[np.float32], rows: int, cols: int
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """`upsample`, some rows at a time: which rows, and (those, cols)."""
    down = _bilinear(rows, values.shape[0])
    across = values @ _bilinear(cols, values.shape[1]).T
    for start in range(0, rows, STRIP):
        which = slice(start, min(start + STRIP, rows))
        yield which, down[which] @ across


def _bilinear(length: int, cells: int) -> NDArray[np.float32]:
    """(length, cells): the weights of linear interpolation, pixel middles on cell middles."""
    at = ((np.arange(length) + 0.5) * (cells / length) - 0.5).clip(0, cells - 1)
    near: NDArray[np.float64] = np.clip(1 - np.abs(at[:, None] - np.arange(cells)), 0, 1)
    return near.astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A film with its heat map, as one draws it."""

    film: NDArray[np.uint8]
    """(rows, cols), the film that was scored, at its own size, 0 black to 255 white."""

    heat: HeatMap


def display(film: Radiograph) -> NDArray[np.uint8]:
    """A film at 8 bits: (rows, cols), 0 to 2**bits_stored - 1 as 0 to 255."""
    if film.bits_stored == 8:
        return np.asarray(film.pixels, np.uint8)
    top = 2**film.bits_stored - 1
    grey = np.empty(film.pixels.shape, np.uint8)
    for start in range(0, len(grey), STRIP):
        deep = film.pixels[start : start + STRIP].astype(np.float32) * np.float32(255 / top)
        grey[start : start + STRIP] = np.rint(deep).clip(0, 255)
    return grey
