"""A small classifier of thumbnails, in numpy: two layers, a few kilobytes, a few microseconds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.types import InputTensor

THUMBNAIL = 24
"""Rows and columns of what the classifiers see."""


def thumbnails(films: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 24, 24) of (n, 150, 150, 1): area averages, in grey levels."""
    small = [
        cv2.resize(film[:, :, 0], (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        for film in films
    ]
    return np.stack(small).astype(np.float32)


def standardised(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 576): each thumbnail with a mean of 0 and a spread of 1, cut at 3, so that exposure counts little."""
    flat = small.reshape(len(small), -1)
    flat = flat - flat.mean(1, keepdims=True)
    # One grey level more, so that an empty picture stays empty.
    return np.asarray(np.clip(flat / (flat.std(1, keepdims=True) + 1), -3, 3), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Perceptron:
    """Softmax of two layers with a ReLU between them."""

    first: NDArray[np.floating]
    """(576, hidden)."""
    first_bias: NDArray[np.floating]
    """(hidden,)."""
    second: NDArray[np.floating]
    """(hidden, classes)."""
    second_bias: NDArray[np.floating]
    """(classes,)."""

    def probabilities(self, small: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, classes), each row adding up to 1, of (n, 24, 24) thumbnails."""
        hidden = standardised(small) @ self.first.astype(np.float32) + self.first_bias
        logits = np.maximum(hidden, 0) @ self.second.astype(np.float32) + self.second_bias
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)

    def of(self, tensor: InputTensor) -> NDArray[np.float32]:
        """(classes,) for one prepared film."""
        return np.asarray(self.probabilities(thumbnails(tensor.pixels))[0])
