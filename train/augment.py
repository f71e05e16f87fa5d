"""Random changes of training films: geometry, grey levels, sharpness, erasing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from train.recipe import Augmentation

WHITE = 255.0


def affine(spec: Augmentation, side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a random map from output to input pixels, about the film's centre.

    Returns:
        (2, 3), for `cv2.warpAffine` with WARP_INVERSE_MAP.
    """
    angle = np.deg2rad(rng.uniform(-spec.rotation_degrees, spec.rotation_degrees))
    shift = rng.uniform(-spec.shift, spec.shift, 2) * side
    shear = rng.uniform(-spec.shear, spec.shear)
    zoom = rng.uniform(1 - spec.zoom, 1 + spec.zoom, 2)
    flip = -1.0 if spec.horizontal_flip and rng.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([flip * zoom[0], zoom[1]])
    centre = np.full(2, (side - 1) / 2)
    return np.column_stack([linear, centre + shift - linear @ centre])


def erase(image: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Fill one random rectangle, 2 to 15 % of the film, with the film's mean, in place."""
    side = image.shape[0]
    area = rng.uniform(0.02, 0.15) * side * side
    ratio = np.exp(rng.uniform(np.log(0.4), np.log(2.5)))
    rows = min(side, max(1, int(np.sqrt(area * ratio))))
    cols = min(side, max(1, int(np.sqrt(area / ratio))))
    top, left = rng.integers(0, side - rows + 1), rng.integers(0, side - cols + 1)
    image[top : top + rows, left : left + cols] = image.mean()


def sharpen(
    image: NDArray[np.float32], strength: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Blur or sharpen by a random amount: how sharp a film is tells its detector, not its lungs.

    Args:
        image: (side, side) in [0, 255].
        strength: 1 reaches from the full Gaussian blur to an unsharp mask of the same size.
        rng: Drawn from.
    """
    amount = np.float32(rng.uniform(-strength, strength))
    blurred = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 1.5))
    sharper = np.clip(image + amount * (image - blurred), 0, WHITE, dtype=np.float32)
    return np.asarray(sharper, dtype=np.float32)


def augment(
    tensor: NDArray[np.uint8], spec: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """One random variant of a prepared film.

    Args:
        tensor: (side, side, 1), 0 to 255; not modified.
        spec: The ranges to draw from.
        rng: Drawn from; the same state gives the same variant.

    Returns:
        (side, side, 1) in [0, 255]. Pixels from outside the film repeat its edge, as Keras'
        generator does by default.
    """
    side = tensor.shape[0]
    image = cv2.warpAffine(
        tensor[..., 0],
        affine(spec, side, rng),
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    if spec.gamma:
        power = (1 + spec.gamma) ** rng.uniform(-1, 1)
        image = WHITE * (image / WHITE) ** np.float32(power)
    if spec.contrast or spec.brightness:
        gain = rng.uniform(1 - spec.contrast, 1 + spec.contrast)
        offset = WHITE * rng.uniform(-spec.brightness, spec.brightness)
        mean = image.mean()
        image = np.clip((image - mean) * gain + mean + offset, 0, WHITE, dtype=np.float32)
    if spec.sharpness:
        image = sharpen(image, spec.sharpness, rng)
    if spec.erase and rng.random() < spec.erase:
        erase(image, rng)
    return np.asarray(image, dtype=np.float32)[..., np.newaxis]
