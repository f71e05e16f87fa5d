"""The films that the fusion was fitted on, with the members' answers: what may be chosen on them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.errors import BundleError
from pneumo_edge.manifest import MEMBER_NAMES
from train.fuse import join, out_of_fold
from train.run import Run

FILE = "held_out.npz"
"""Its name in a bundle."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Training films that the members were not trained on."""

    probabilities: NDArray[np.float64]
    """(n, 4) in the order of x1 to x4."""
    labels: NDArray[np.int64]
    """(n,) of 0 and 1."""
    patients: NDArray[np.str_] | None
    """(n,); a bundle does not tell them."""


def held_out_of_run(run: Run) -> HeldOut:
    """A run's out-of-fold predictions.

    Raises:
        RecipeError: a member's are missing.
    """
    parts, _ = out_of_fold(run)
    return HeldOut(*join(parts))


def held_out_of_bundle(bundle: Bundle) -> HeldOut | None:
    """What a bundle brings of them; None where it was packed without.

    Raises:
        BundleError: the file is not what it should be.
    """
    if FILE not in bundle.manifest.files:
        return None
    content = bundle.model(FILE)
    raw = content if isinstance(content, bytes) else content.read_bytes()
    try:
        with np.load(io.BytesIO(raw)) as arrays:
            probabilities, labels = arrays["probabilities"], arrays["labels"]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise BundleError(
            f"{FILE} of bundle {bundle.id} cannot be read: {err}",
            "pack it again with pneumo-edge convert",
        ) from None
    if probabilities.shape != (len(labels), len(MEMBER_NAMES)):
        raise BundleError(
            f"{FILE} of bundle {bundle.id} has probabilities of shape {probabilities.shape} "
            f"for {len(labels)} labels",
            "pack it again with pneumo-edge convert",
        )
    return HeldOut(probabilities.astype(np.float64), labels.astype(np.int64), None)
