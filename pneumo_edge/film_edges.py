"""Where in a picture the edges of a film are: quadrilaterals, each side held against the picture's own edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LOOK = 600
"""Pixels of the longer side at which edges are looked for; a film's edge needs no more."""

LEAST_AREA = 0.10
"""Of the picture. A smaller film has too few pixels to be read."""

_LEVELS = 14
"""Grey levels at which the picture is cut into bright and dark."""
_SAMPLES = 48
"""Places along a side at which its edge is looked for."""
_REACH = (0.016, 0.010)
"""How far from a side, in diagonals of the picture: coarse, then fine."""
_STEP = 6.0
"""Grey levels, 0 to 255, across the edge of a film at least."""
_ON_LINE = 0.004
"""Diagonals of the picture by which a point of an edge may lie off its line."""
_SUPPORT = 0.5
"""Of each side, at least: a sleeve's reflection or a hand may hide the rest of its edge."""
_FLAT = 0.10
"""Of the whole grey range: a light box, a bezel or a black border varies by less around its median."""

Corners = NDArray[np.float64]
"""(4, 2) of x and y in pixels, pixel centres at whole numbers: top left, top right, bottom right, bottom left."""


@dataclass(frozen=True, slots=True, eq=False)
class Quad:
    """A quadrilateral with an edge on each side."""

    corners: Corners
    """In the picture that was searched; a corner may lie outside of it where the film is cut off."""

    support: NDArray[np.float64]
    """(4,) for the top, right, bottom and left side: the share of its length at which the picture has an edge; 1 where
    it is cut."""

    lit: NDArray[np.bool_]
    """(4,) for the same sides: whether it is brighter outside than inside; true where it is cut."""

    area: float
    """In pixels of the picture."""

    cut: tuple[str, ...]
    """Its sides that lie along an edge of the picture, beyond which it goes on: top, right, bottom, left."""


def find_quads(grey: NDArray[np.uint8]) -> list[Quad]:
    """Quadrilaterals that may be films, largest first; each film may come with what it lies on.

    Args:
        grey: (rows, cols), any size.
    """
    scale = min(1.0, LOOK / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # A screen's moire and a camera's noise are finer than any film's edge is long.
    smooth = cv2.GaussianBlur(cv2.medianBlur(small, 5), (0, 0), 1.0).astype(np.float32)
    # A film that ends at the picture's edge has no edge there, so nothing is invented around the picture.
    found: list[Quad] = []
    tried: list[Corners] = []
    near = 0.005 * float(np.hypot(*small.shape))
    for rough in _outlines(smooth.astype(np.uint8)):
        if any(np.abs(rough - other).max() < near for other in tried):
            continue
        tried.append(rough)
        quad = _refined(smooth, rough)
        if quad is not None and not any(_same(quad, other, smooth) for other in found):
            found.append(quad)
    shift = (1 / scale - 1) / 2  # centres of small pixels lie between those of the large ones
    return [
        Quad(quad.corners / scale + shift, quad.support, quad.lit, quad.area / scale**2, quad.cut)
        for quad in sorted(found, key=lambda quad: -quad.area)
    ]


def _outlines(grey: NDArray[np.uint8]) -> Iterator[Corners]:
    """Rough quadrilaterals around what is brighter or darker than its surroundings, or enclosed by edges."""
    low, high = np.percentile(grey, (1, 99))
    kernel = np.ones((5, 5), np.uint8)
    masks = []
    for level in np.linspace(low, high, _LEVELS + 2)[1:-1]:
        bright = (grey > level).astype(np.uint8)
        masks += [bright, 1 - bright]
    edges = cv2.dilate(cv2.Canny(grey, 20, 60), np.ones((3, 3), np.uint8))
    masks.append((edges == 0).astype(np.uint8))
    for mask in masks:
        for how in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE):
            contours, _ = cv2.findContours(
                cv2.morphologyEx(mask, how, kernel), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
            )
            for contour in contours:
                if cv2.contourArea(contour) >= LEAST_AREA * grey.size:
                    corners = _four(cv2.convexHull(contour))
                    if corners is not None:
                        yield corners


def _four(hull: NDArray[Any]) -> Corners | None:
    """The hull as four corners, if it nearly is that."""
    length = cv2.arcLength(hull, True)
    for share in (0.01, 0.02, 0.03, 0.045, 0.06, 0.08):
        corners = cv2.approxPolyDP(hull, share * length, True)
        if len(corners) <= 4:
            break
    if len(corners) != 4:
        return None
    ordered = _ordered(corners[:, 0].astype(np.float64))
    fills = cv2.contourArea(hull) / max(cv2.contourArea(ordered.astype(np.float32)), 1.0)
    return ordered if 0.88 <= fills <= 1.12 and _sound(ordered) else None


def _ordered(corners: Corners) -> Corners:
    """Clockwise on the screen, the corner nearest to the top left first."""
    middle = corners.mean(axis=0)
    turn = np.argsort(np.arctan2(corners[:, 1] - middle[1], corners[:, 0] - middle[0]))
    around = corners[turn]
    return np.roll(around, -int(np.argmin(around.sum(axis=1))), axis=0)


def _sound(corners: Corners) -> bool:
    """Whether it is what a camera that looks at a film, and not along it, can see of a rectangle."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    if lengths.min() < 1 or not cv2.isContourConvex(corners.astype(np.float32)):
        return False
    before = -np.roll(sides, 1, axis=0)
    cosines = (before * sides).sum(axis=1) / (np.roll(lengths, 1) * lengths)
    opposite = np.maximum(lengths[:2], lengths[2:]) / np.minimum(lengths[:2], lengths[2:])
    aspect = max(lengths[::2].mean(), lengths[1::2].mean()) / min(
        lengths[::2].mean(), lengths[1::2].mean()
    )
    return bool(np.abs(cosines).max() < 0.55 and opposite.max() < 2.0 and aspect < 2.5)


def _refined(grey: NDArray[np.float32], corners: Corners) -> Quad | None:
    """Move each side to the strongest edge beside it; None where a side has none."""
    rows, cols = grey.shape
    diagonal = float(np.hypot(rows, cols))
    cut = _cut(corners, grey)
    if len(cut) > 2:  # the picture itself
        return None
    support, lit = np.ones(4), np.ones(4, bool)
    for reach in _REACH:
        lines = []
        for side in range(4):
            start, end = corners[side], corners[(side + 1) % 4]
            line: Line = (start, end - start)
            if side not in cut:
                line, support[side], lit[side] = _fitted(grey, start, end, reach)
            lines.append(line)
        crossings = [_crossing(lines[side - 1], lines[side]) for side in range(4)]
        met = np.array(crossings, np.float64)
        if support.min() < _SUPPORT or not np.isfinite(met).all():
            return None
        if np.abs(met - corners).max() > 0.05 * diagonal:
            return None
        corners = met
    area = float(cv2.contourArea(corners.astype(np.float32)))
    if not _sound(corners) or not LEAST_AREA * grey.size <= area:
        return None
    beyond = (corners < -0.5).any() or (corners > [cols - 0.5, rows - 0.5]).any()
    if beyond and not cut:
        return None
    return Quad(corners, support, lit, area, tuple(_SIDES[side] for side in cut))


_SIDES = ("top", "right", "bottom", "left")


def _cut(corners: Corners, grey: NDArray[np.float32]) -> list[int]:
    """The sides that lie along the edge of the picture, where a film goes on beyond it."""
    rows, cols = grey.shape
    margin = 0.008 * float(np.hypot(rows, cols))
    near = np.stack(
        [
            corners[:, 1] < margin,
            corners[:, 0] > cols - 1 - margin,
            corners[:, 1] > rows - 1 - margin,
            corners[:, 0] < margin,
        ],
        axis=1,
    )
    return [side for side in range(4) if (near[side] & near[(side + 1) % 4]).any()]


Line = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A point and a direction."""


def _fitted(
    grey: NDArray[np.float32], start: NDArray[np.float64], end: NDArray[np.float64], reach: float
) -> tuple[Line, float, bool]:
    """The line through the edge beside a side; at what share of it there is one; whether outside is brighter."""
    diagonal = float(np.hypot(*grey.shape))
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    half = max(4, round(reach * diagonal))
    places = start + np.linspace(0.06, 0.94, _SAMPLES)[:, None] * (end - start)
    steps = np.arange(-half - 2, half + 3, dtype=np.float64)
    at = places[:, None, :] + steps[None, :, None] * across
    profile = cv2.remap(
        grey,
        at[..., 0].astype(np.float32),
        at[..., 1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    rise = profile[:, 4:] - profile[:, :-4]  # over four pixels, as wide as the blur
    # An edge has one sign along the whole of it: the film's side is darker, or brighter.
    strong = np.where(np.abs(rise) >= _STEP, rise, 0.0)
    # The corners go clockwise, so that `across` points inwards.
    lit = bool(strong.max(axis=1).sum() < -strong.min(axis=1).sum())
    rise = -rise if lit else rise
    best = rise.argmax(axis=1)
    clear = rise.max(axis=1) >= _STEP
    if clear.sum() < _SAMPLES // 4:
        return (start, along), 0.0, lit
    points = places + (best - half)[:, None] * across
    fit = cv2.fitLine(points[clear].astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01)[:, 0]
    direction, point = fit[:2].astype(np.float64), fit[2:].astype(np.float64)
    normal = np.array([-direction[1], direction[0]])
    off = np.abs((points - point) @ normal)
    near = clear & (off <= max(1.5, _ON_LINE * diagonal))
    if near.sum() >= _SAMPLES // 4:  # once more, without what lies off
        fit = cv2.fitLine(points[near].astype(np.float32), cv2.DIST_L2, 0, 0.01, 0.01)[:, 0]
        direction, point = fit[:2].astype(np.float64), fit[2:].astype(np.float64)
    return (point, direction), float(near.mean()), lit


def _crossing(first: Line, second: Line) -> NDArray[np.float64]:
    """Where two lines meet; not finite where they do not."""
    (p, d), (q, e) = first, second
    area = d[0] * e[1] - d[1] * e[0]
    if abs(area) < 1e-9:
        return np.full(2, np.nan)
    way = ((q[0] - p[0]) * e[1] - (q[1] - p[1]) * e[0]) / area
    return np.asarray(p + way * d)


def _same(quad: Quad, other: Quad, grey: NDArray[np.float32]) -> bool:
    return bool(np.abs(quad.corners - other.corners).max() < 0.012 * np.hypot(*grey.shape))


def is_inside(inner: Quad, outer: Quad) -> bool:
    """Whether a quadrilateral lies in another one, but for a pixel or two."""
    hull = outer.corners.astype(np.float32)
    slack = 0.02 * float(np.sqrt(outer.area))
    return all(
        cv2.pointPolygonTest(hull, (float(x), float(y)), True) >= -slack for x, y in inner.corners
    )


def is_flat_between(grey: NDArray[np.uint8], inner: Quad, outer: Quad) -> bool:
    """Whether what lies between two quadrilaterals is a light box, a bezel or a border, and no part of a film."""
    scale = min(1.0, LOOK / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    ring = np.zeros(small.shape, np.uint8)
    thickness = max(3, round(0.012 * max(small.shape)))
    for quad, colour in ((outer, 255), (inner, 0)):
        outline = np.rint(quad.corners * scale).astype(np.int32)
        cv2.fillConvexPoly(ring, outline, colour)
        cv2.polylines(ring, [outline], True, 0, thickness)  # the edges themselves are blurred
    levels = small[ring > 0].astype(np.float32)
    if len(levels) < 50:
        return False
    near = np.abs(levels - np.median(levels)) <= _FLAT * 255
    return bool(near.mean() >= 0.8)
