from __future__ import annotations

from pathlib import Path

import numpy as np

from pneumo_edge.bundle import load_bundle
from pneumo_edge.manifest import MEMBER_NAMES
from train.candidate import Candidate, candidate_of_bundle, candidate_of_run
from train.recipe import load_recipe
from train.run import Fusion, Predictions, Run


def test_a_bundles_ensemble_is_its_manifests(shipped_bundle: Path) -> None:
    bundle = load_bundle(shipped_bundle)
    told = candidate_of_bundle(bundle)
    assert told.title == bundle.id
    assert told.run is None
    assert list(told.weights) == list(MEMBER_NAMES)
    assert told.weights["vgg19"] == bundle.manifest.members[1].weight
    assert (told.bias, told.operating_points) == (
        bundle.manifest.bias,
        bundle.manifest.operating_points,
    )


def test_a_runs_ensemble_is_its_fusion_with_its_held_out_films(tmp_path: Path) -> None:
    run = Run(tmp_path / "ours")
    run.write("recipe.json", load_recipe("paper"))
    weights = dict(zip(MEMBER_NAMES, (0.1, 0.2, 0.3, 0.4), strict=True))
    run.write(
        "fusion.json",
        Fusion(
            weights=weights,
            bias=-0.5,
            operating_points={"paper": 0.5},
            films=2,
            folds=["0"],
            out_of_fold=[],
        ),
    )
    for name in MEMBER_NAMES:
        predictions = Predictions(
            films=["a", "b"], patients=["a", "b"], labels=[0, 1], probabilities=[0.0, 1.0]
        )
        run.write(f"{name}/fold-0/held_out.json", predictions)
        (run.member(name, "0") / "model.keras").touch()
    told = candidate_of_run(run)
    assert (told.title, told.weights, told.run) == ("ours", weights, run)
    assert told.held_out is not None
    np.testing.assert_allclose(told.fuse(told.held_out), [-0.5, 0.5])


def test_weights_stand_in_the_order_of_the_members(candidate: Candidate) -> None:
    assert candidate.weight_row.tolist() == [0.5, 0.2, 0.4, -0.1]
