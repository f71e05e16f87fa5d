"""The one preparation that training, the representative data set and inference share."""

from __future__ import annotations

import cv2
import numpy as np

from pneumo_edge.types import SIDE, InputTensor, Radiograph


def prepare(film: Radiograph) -> InputTensor:
    """Squash a film to the members' input.

    The aspect ratio is not kept, as it was not in the training set. Shrinking averages over the
    area that a target pixel covers; a film smaller than the input is enlarged bilinearly. The resampling
    runs at the film's own bit depth, and only its result is scaled to 8 bits, rounding to nearest.

    Args:
        film: Not modified.

    Returns:
        (1, 150, 150, 1) uint8; 0 to 2**bits_stored - 1 maps to 0 to 255.
    """
    rows, cols = film.pixels.shape
    # OpenCV's area resampling is only an area average when it shrinks.
    shrinks = rows >= SIDE and cols >= SIDE
    small = cv2.resize(
        film.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    if film.bits_stored != 8:
        top = 2**film.bits_stored - 1
        small = np.rint(small.astype(np.float32) * (255.0 / top)).clip(0, 255)
    return InputTensor(small.astype(np.uint8).reshape(1, SIDE, SIDE, 1))
