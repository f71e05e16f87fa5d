"""Pictures of films on a light box as a phone takes them, drawn from films: askew, with glare, moire, noise, JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PLANE = 1000
"""Side of the plane that film, light box and room lie in, in pixels."""

Light = NDArray[np.float32]
"""(rows, cols, 3): blue, green and red, linear, 1 where the camera's sensor is full."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A simulated photo."""

    jpeg: bytes
    corners: NDArray[np.float64]
    """(4, 2) of x and y: the film's top left, top right, bottom right and bottom left corner."""


def photograph(film: NDArray[np.uint8], rng: np.random.Generator) -> Picture:
    """Take a picture of a film on a light box.

    The film lets through between 1 to 4 and 60 to 85 % of the light, bluish. The light box is brightest near its
    middle and lies in a dark room. The camera is held askew (turned by up to 8 degrees, each corner off by up to 7 % of
    the film), sees up to two lamps reflected, a veil of light from the room and moire, does not balance its white, is a
    little out of focus, has shot noise, and writes JPEG of quality 60 to 92.

    Args:
        film: (rows, cols), larger is brighter.
        rng: The same state gives the same picture.
    """
    plane, rectangle = _plane(film, rng)
    rows, cols = [(960, 720), (720, 960), (900, 900)][int(rng.integers(3))]
    view = _view(rectangle, rows, cols, rng)
    seen = cv2.warpPerspective(
        plane, view, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    corners = cv2.perspectiveTransform(rectangle[None], view)[0]
    light = seen * _moire(rows, cols, rng) + _glare(rows, cols, rng)
    light = light * rng.uniform([0.85, 0.92, 0.85], [1.15, 1.08, 1.15])
    soft = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.5, 1.4))
    electrons = rng.uniform(1500, 8000)
    noisy = soft + rng.normal(0, 1, light.shape) * np.sqrt(soft.clip(0) / electrons + 2e-6)
    levels = (np.clip(noisy, 0, 1) ** (1 / 2.2) * 255).round().astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 93))])
    return Picture(jpeg.tobytes(), np.asarray(corners, np.float64))


def _plane(film: NDArray[np.uint8], rng: np.random.Generator) -> tuple[Light, NDArray[np.float32]]:
    """The scene seen from the front (PLANE, PLANE, 3), and the film's corners in it (4, 2)."""
    room = rng.uniform(0.005, 0.08) * rng.uniform([0.7, 0.8, 0.8], [1.1, 1.0, 1.2])
    plane = np.full((PLANE, PLANE, 3), room, np.float32)
    y, x = np.mgrid[0:PLANE, 0:PLANE].astype(np.float32) / PLANE
    width = rng.uniform(0.56, 0.66)
    height = float(np.clip(width * rng.uniform(0.85, 1.2), 0.5, 0.7))
    left, top = rng.uniform(0.16, 0.84 - width), rng.uniform(0.13, 0.87 - height)
    margin = rng.uniform(0.03, [0.12, 0.1, 0.12, 0.1])
    lit = (x > left - margin[0]) & (x < left + width + margin[2])
    lit &= (y > top - margin[1]) & (y < top + height + margin[3])
    middle = rng.uniform(0.35, 0.65, 2)
    falloff = 1 - rng.uniform(0.1, 0.5) * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2)
    light = falloff * rng.uniform(0.85, 1.4)
    plane[lit] = light[lit][:, None]
    c0, r0 = round(left * PLANE), round(top * PLANE)
    c1, r1 = round((left + width) * PLANE), round((top + height) * PLANE)
    grey = cv2.resize(film, (c1 - c0, r1 - r0), interpolation=cv2.INTER_CUBIC) / 255.0
    least, most = rng.uniform(0.01, 0.04), rng.uniform(0.6, 0.85)
    through = least + (most - least) * grey ** rng.uniform(1.4, 2.2)
    base = np.array([1.0, 0.95, 0.87])  # polyester dyed blue
    plane[r0:r1, c0:c1] = (light[r0:r1, c0:c1] * through)[..., None] * base
    return plane, np.array([[c0, r0], [c1, r0], [c1, r1], [c0, r1]], np.float32) - 0.5


def _view(
    rectangle: NDArray[np.float32], rows: int, cols: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(3, 3) from the plane to a picture of (rows, cols) in which the film lies, whole."""
    turn = np.deg2rad(rng.uniform(-8, 8))
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pushed = rectangle + rng.uniform(-0.07, 0.07, (4, 2)) * np.ptp(rectangle, axis=0)
    seen = (pushed - rectangle.mean(axis=0)) @ rotate.T
    seen = seen * rng.uniform(0.62, 0.88) * min(np.array([cols, rows]) / np.ptp(seen, axis=0))
    slack = np.array([cols, rows]) - np.ptp(seen, axis=0)
    seen = seen + slack * rng.uniform(0.3, 0.7, 2) - seen.min(axis=0)
    return np.asarray(cv2.getPerspectiveTransform(rectangle, seen.astype(np.float32)), np.float64)


def _moire(rows: int, cols: int, rng: np.random.Generator) -> Light:
    """Beats between two grids, bent a little, of another phase in each colour; around 1."""
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(6, 30)
    bend = rng.uniform(-2e-4, 2e-4)
    phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + bend * (x - y) ** 2) / period
    waves = np.sin(phase[..., None] + rng.uniform(0, 0.6 * np.pi, 3))
    return np.asarray(1 + rng.uniform(0, 0.04) * waves, np.float32)


def _glare(rows: int, cols: int, rng: np.random.Generator) -> Light:
    """Reflected light: a veil over all, and up to two lamps."""
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    light = np.full((rows, cols, 3), rng.uniform(0, 0.02), np.float32)
    for _ in range(int(rng.integers(3))):
        middle = rng.uniform(0.15, 0.85, 2) * [cols, rows]
        spread = rng.uniform(0.05, 0.2, 2) * [cols, rows]
        away = ((x - middle[0]) / spread[0]) ** 2 + ((y - middle[1]) / spread[1]) ** 2
        colour = rng.uniform([0.6, 0.8, 0.8], [1.0, 1.0, 1.2])
        light = light + rng.uniform(0.02, 0.15) * np.exp(-away / 2)[..., None] * colour
    return light.astype(np.float32)
