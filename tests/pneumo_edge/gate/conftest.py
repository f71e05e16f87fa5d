"""A gate of one's own: statistics that let smooth films through, for a member that need not run."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.gate.distance import Subspace
from pneumo_edge.gate.perceptron import THUMBNAIL, Perceptron
from pneumo_edge.gate.pose import Pose
from pneumo_edge.gate.statistics import Statistics

CHANNELS = 8
INPUTS = THUMBNAIL**2


def template() -> NDArray[np.float32]:
    """(24, 24): a picture that no turn, mirror or inversion maps onto itself."""
    rows, cols = np.mgrid[0:THUMBNAIL, 0:THUMBNAIL].astype(np.float32)
    return np.asarray(60 + 4 * rows + 2 * cols + 40 * ((rows < 8) & (cols < 8)), np.float32)


def matched() -> Perceptron:
    """Answers with the pose in which a picture is most like the template: a filter for each pose."""
    filters = []
    for number in range(16):
        laid = Pose.of(number).apply(template()).ravel()
        filters.append((laid - laid.mean()) / laid.std() / INPUTS)
    first = np.stack(filters, 1).astype(np.float32)
    return Perceptron(
        first, np.zeros(16, np.float32), 60 * np.eye(16, dtype=np.float32), np.zeros(16, np.float32)
    )


def whole() -> Perceptron:
    """Takes every film for whole."""
    zeros = np.zeros((INPUTS, 1), np.float32)
    return Perceptron(
        zeros, np.zeros(1, np.float32), np.zeros((1, 2), np.float32), np.array([9, 0], np.float32)
    )


@pytest.fixture
def statistics() -> Statistics:
    """Features vary along the first channel alone; 1 beside it is the unit, 2 is warned of, 4 refused."""
    basis = np.zeros((CHANNELS, 1), np.float32)
    basis[0] = 1
    subspace = Subspace(np.zeros(CHANNELS, np.float32), np.ones(CHANNELS, np.float32), basis, 1.0)
    return Statistics(
        member="resnet50",
        subspace=subspace,
        warn_at=2.0,
        refuse_at=4.0,
        bounds=np.array([[16.0, 256.0], [0.0, 0.5], [0.0, 0.5]]),
        pose=matched(),
        notice_at=0.5,
        correct_at=0.99,
        mirror_at=0.9,
        crop=whole(),
        crop_at=0.9,
    )


@pytest.fixture
def laid() -> Callable[[Pose], NDArray[np.uint8]]:
    """The template as a film that lies so, (240, 240)."""

    def make(pose: Pose) -> NDArray[np.uint8]:
        film = cv2.resize(template(), (240, 240), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
        return np.ascontiguousarray(pose.apply(film))

    return make
