"""An ensemble under evaluation: a run's or a bundle's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.manifest import MEMBER_NAMES
from train.held_out import HeldOut, held_out_of_bundle, held_out_of_run
from train.run import Run


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """An ensemble, apart from its answers."""

    title: str
    weights: dict[str, float]
    bias: float
    operating_points: dict[str, float]
    held_out: HeldOut | None
    run: Run | None
    """None for a bundle."""

    @property
    def weight_row(self) -> NDArray[np.float64]:
        """(4,), the fusion's weights in the order of x1 to x4."""
        return np.array([self.weights[name] for name in MEMBER_NAMES])

    def fuse(self, held_out: HeldOut) -> NDArray[np.float64]:
        """(n,), y of held-out films."""
        return held_out.probabilities @ self.weight_row + self.bias


def candidate_of_run(run: Run) -> Candidate:
    """The full-precision ensemble of a run.

    Raises:
        RecipeError: a file of the run is missing.
    """
    fusion = run.fusion()
    return Candidate(
        title=run.folder.resolve().name,
        weights=fusion.weights,
        bias=fusion.bias,
        operating_points=fusion.operating_points,
        held_out=held_out_of_run(run),
        run=run,
    )


def candidate_of_bundle(bundle: Bundle) -> Candidate:
    """The int8 ensemble of a bundle.

    Raises:
        BundleError: its held-out predictions are damaged.
    """
    manifest = bundle.manifest
    return Candidate(
        title=bundle.id,
        weights={member.name: member.weight for member in manifest.members},
        bias=manifest.bias,
        operating_points=manifest.operating_points,
        held_out=held_out_of_bundle(bundle),
        run=None,
    )
