"""A film in a photo: found on its light box, seen from the front, without the colour of the light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import BadRadiographError
from pneumo_edge.film_edges import Corners, Quad, find_quads, is_flat_between, is_inside
from pneumo_edge.types import PhotoMode

CHROMA = 0.5
"""Grey levels by which red and blue differ from green, on average, in a picture that was taken in colour. Three
channels that a grey picture was saved in differ by none, JPEG or not."""

LARGEST = 3000
"""Pixels of a photo's longer side; a larger one is shrunk first, so that the sandbox's memory is enough for it."""

_SURE = 0.8
"""Of the four sides of a film, the share at which its edge is seen, for a picture to be changed unasked."""
_ALIKE = 0.5
"""Of the area of the largest film; a second one of that size may just as well be meant."""
_BROAD = 0.6
"""Of the film's side: reflections are that broad. Narrower ones cannot be told from what is on the film."""
_INSET = 0.004
"""Of the film's sides, on each: the edge itself is blurred with the light beside it."""

_SHOOT = "photograph one film, whole, on a lit light box, filling the picture; or leave out --photo always"


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """What was made of a photo."""

    pixels: NDArray[np.uint8]
    """(rows, cols), grey."""

    note: str
    """What was done, in words."""

    corners: Corners
    """Where in the picture the film was."""


def rectify(pixels: NDArray[Any], mode: PhotoMode, camera: bool, source: str) -> Film | str | None:
    """The film in a photo of one.

    In the mode `auto` a picture is changed only where it is certain to be a photo of a film: it comes from a camera
    or is in colour, and shows a quadrilateral that is darker than what surrounds it, with its edge on all four
    sides. A film that was scanned or exported, grey, is never looked at.

    Args:
        pixels: (rows, cols) or (rows, cols, 3 or 4) of blue, green, red; 8 or 16 bits, upright. Not modified.
        mode: `always` also takes grey pictures and films that are brighter than what surrounds them.
        camera: Whether the file says that a camera took it.
        source: What to call it in messages.

    Returns:
        The film; in words why it was not taken out of a picture that shows one, or one by a camera; None where there is
        nothing to say.

    Raises:
        BadRadiographError: it shows several films; or, with `always`, no film, or one that is cut off.
    """
    if mode == "never" or (mode == "auto" and not (camera or is_coloured(pixels))):
        return None
    bgr = _eight_bits(pixels)
    scale = min(1.0, LARGEST / max(bgr.shape[:2]))
    if scale < 1:
        bgr = np.asarray(cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    grey = bgr.max(axis=2)  # a light box is white in all three; a film's blue is not
    quads = find_quads(grey)
    found = _film(quads, grey, mode)
    if found is None:
        if mode == "always":
            raise BadRadiographError(f"{source} shows no film with four edges", _SHOOT)
        return (
            "taken by a camera, but no film's edges were found: read as it is" if camera else None
        )
    others = _others(quads, found)
    if any(quad.area >= _ALIKE * found.area for quad in others):
        raise BadRadiographError(
            f"{source} is a photo of {len(others) + 1} films",
            "photograph one film at a time, or crop the picture to one; --photo never reads it as it is",
        )
    if found.cut:
        sides = " and ".join(found.cut)
        if mode == "always":
            raise BadRadiographError(
                f"{source} shows a film that is cut off at the {sides}", _SHOOT
            )
        return f"a photo of a film that is cut off at the {sides}: read as it is"
    note = "film found in a photo, its perspective rectified, colour cast and exposure evened out"
    if others:
        note += "; it is the largest of several"
    corners = (found.corners + 0.5) / scale - 0.5
    return Film(_evened(_from_the_front(bgr, found.corners)), note, corners)


def is_coloured(pixels: NDArray[Any]) -> bool:
    """Whether a picture was taken in colour; one that was only saved in colour has three equal channels."""
    if pixels.ndim == 2 or pixels.shape[2] < 3:
        return False
    small = cv2.resize(_eight_bits(pixels), (64, 64), interpolation=cv2.INTER_AREA).astype(int)
    apart = np.abs(small[..., [0, 2]] - small[..., [1]])
    return bool(apart.mean() > CHROMA)


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """(rows, cols, 3) at 8 bits."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.asarray(pixels[:, :, :3], np.uint8)


def _film(quads: list[Quad], grey: NDArray[np.uint8], mode: PhotoMode) -> Quad | None:
    """The quadrilateral that is a film; quads come largest first."""
    least = _SURE if mode == "auto" else 0.0
    lit = [quad for quad in quads if quad.lit.all() and quad.support.mean() >= least]
    whole = [quad for quad in lit if not quad.cut]
    if whole or lit:
        return (whole or lit)[0]
    if mode == "auto" or not quads:
        return None
    found = quads[0]
    for quad in quads[1:]:  # a film on a screen, within its black bezel
        if is_inside(quad, found) and is_flat_between(grey, quad, found):
            found = quad
    return found


def _others(quads: list[Quad], found: Quad) -> list[Quad]:
    """The films beside the one that was found, largest first; two outlines of the same film count once."""
    others: list[Quad] = []
    for quad in quads:
        if all(_is_another(quad, film) for film in (found, *others)):
            others.append(quad)
    return others


def _is_another(quad: Quad, film: Quad) -> bool:
    """Whether a quadrilateral is a film beside the one that was found."""
    middles = quad.corners.mean(axis=0), film.corners.mean(axis=0)
    apart = [
        cv2.pointPolygonTest(q.corners.astype(np.float32), (float(m[0]), float(m[1])), False) < 0
        for q, m in ((film, middles[0]), (quad, middles[1]))
    ]
    return bool((quad.lit == film.lit).all()) and all(apart) and quad.support.mean() >= _SURE


def _from_the_front(bgr: NDArray[np.uint8], corners: Corners) -> NDArray[np.uint8]:
    """(rows, cols, 3): the quadrilateral as a rectangle, as large as it is in the picture."""
    lengths = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    cols, rows = (max(2, round(float(lengths[side::2].mean()))) for side in (0, 1))
    x, y = _INSET * cols, _INSET * rows
    target = np.array([[-x, -y], [cols + x, -y], [cols + x, rows + y], [-x, rows + y]]) - 0.5
    view = cv2.getPerspectiveTransform(corners.astype(np.float32), target.astype(np.float32))
    return np.asarray(
        cv2.warpPerspective(
            bgr, view, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def _evened(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(rows, cols) grey from black to white, without the colour of the light."""
    colours = bgr.reshape(-1, 3)[:: max(1, bgr.size // 600_000)]
    low, high = np.percentile(colours, (0.5, 99.5), axis=0).astype(np.float32)
    stretched = (bgr.astype(np.float32) - low) / np.maximum(high - low, 1)
    even = _without_glare(stretched.mean(axis=2).clip(0, 1))
    bottom, top = np.percentile(even, (0.5, 99.5))
    grey = ((even - bottom) / max(float(top - bottom), 1e-3)).clip(0, 1)
    return np.asarray(np.rint(grey * 255), np.uint8)


def _without_glare(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take off broad reflections: light that was added, so that nothing near is as dark as the film is elsewhere.

    Near is more than half of the film, which has a lung in it wherever it lies: what is narrower stays.
    """
    side = 48
    small = cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)
    reach = round(_BROAD * side) | 1
    darkest = cv2.erode(small, np.ones((reach, reach), np.uint8))
    added = cv2.GaussianBlur(darkest, (0, 0), reach / 3)
    rows, cols = grey.shape
    whole = cv2.resize(added - added.min(), (cols, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(grey - whole, np.float32)
