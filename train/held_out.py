"""The films that the fusion was fitted on, with the members' answers: what may be chosen on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.held_out import read_held_out
from pneumo_edge.manifest import MEMBER_NAMES
from train.fuse import join, out_of_fold
from train.run import Run


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
    found = read_held_out(bundle)
    if found is None:
        return None
    stored = [member.name for member in bundle.manifest.members]
    columns = [stored.index(name) for name in MEMBER_NAMES]
    probabilities = found.probabilities[:, columns].astype(np.float64)
    return HeldOut(probabilities, found.labels.astype(np.int64), None)
