"""The bands of a run come from what it held out, and stand in the bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from convert.indeterminate import HELD_OUT, UNDER_STRESS, choose, figures, held_out_sets
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import MEMBER_NAMES
from train.bands import choose_band
from train.run import Predictions, Run


def predictions(p: list[float], labels: list[int]) -> Predictions:
    names = [f"{label}/{row}.png" for row, label in enumerate(labels)]
    return Predictions(films=names, patients=names, labels=labels, probabilities=p)


@pytest.fixture
def told(run: Run, tmp_path: Path) -> Callable[..., Run]:
    """A copy of the run with held-out predictions of our own, the same for every member."""

    def make(plain: Predictions, stressed: Predictions | None) -> Run:
        shutil.copytree(run.folder, tmp_path / "run")
        copy = Run(tmp_path / "run")
        for name in MEMBER_NAMES:
            copy.write(f"{name}/fold-0/held_out.json", plain)
            if stressed is not None:
                copy.write(f"{name}/fold-0/stressed.json", stressed)
        return copy

    return make


LABELS = [1] * 120 + [0] * 120
PLAIN = predictions([0.9] * 118 + [0.45, 0.1] + [0.1] * 120, LABELS)
STRESSED = predictions([0.9] * 110 + [0.4] * 10 + [0.1] * 120, LABELS)


def test_films_under_stress_count_where_every_member_was_tried_on_them(
    told: Callable[..., Run],
) -> None:
    run = told(PLAIN, STRESSED)
    sets = held_out_sets(run)
    assert list(sets) == [HELD_OUT, UNDER_STRESS]
    fusion = run.fusion()
    total = sum(fusion.weights.values())
    np.testing.assert_allclose(
        sets[UNDER_STRESS].scores, np.array(STRESSED.probabilities) * total + fusion.bias
    )
    chosen = choose(run, sets)
    assert chosen.films == {HELD_OUT: 240, UNDER_STRESS: 240}
    threshold = fusion.operating_points["paper"]
    assert chosen.bands["paper"] == choose_band(list(sets.values()), threshold, 0.02)
    rows = figures(run, sets, chosen)
    assert {row.split for row in rows} == {HELD_OUT, UNDER_STRESS}
    assert all(row.error_pneumonia.value <= 0.02 for row in rows)
    (run.folder / "xception/fold-0/stressed.json").unlink()
    assert list(held_out_sets(run)) == [HELD_OUT]


def test_the_recipe_states_the_error_rate_and_no_digest_changes_with_it(
    told: Callable[..., Run],
) -> None:
    run = told(PLAIN, None)
    recipe = run.recipe()
    lenient = msgspec.structs.replace(recipe, error_outside_band=0.1)
    run.write("recipe.json", lenient)
    assert lenient.digest == recipe.digest
    chosen = choose(run, held_out_sets(run))
    assert chosen.error_rate == 0.1
    threshold = run.fusion().operating_points["paper"]
    assert chosen.bands["paper"].low == chosen.bands["paper"].high == threshold
    run.write("recipe.json", msgspec.to_builtins(recipe) | {"error_outside_band": 0.7})
    with pytest.raises(RecipeError, match="error_outside_band"):
        choose(run, held_out_sets(run))


def test_predictions_under_stress_of_other_films_are_refused(told: Callable[..., Run]) -> None:
    run = told(PLAIN, STRESSED)
    other = predictions(PLAIN.probabilities[::-1], LABELS[::-1])
    run.write("vgg19/fold-0/stressed.json", other)
    with pytest.raises(RecipeError, match="vgg19 was evaluated on other films"):
        held_out_sets(run)


def test_the_bundle_states_what_it_was_chosen_on_and_which_points_it_was_too_little_for(
    converted: Any, run: Run
) -> None:
    manifest = load_bundle(converted.bundle).manifest
    stated = manifest.indeterminate
    assert stated is not None
    assert stated.films == {HELD_OUT: len(held_out_sets(run)[HELD_OUT].labels)}
    assert stated.bands == {}, "a handful of films says nothing of 2 %"
    card = (converted.bundle / "MODEL_CARD.md").read_text()
    assert card.count("none: too few films") == len(manifest.operating_points)


def test_a_bundle_with_bands_has_their_figures_on_the_test_films(
    told: Callable[..., Run], options_for: Callable[..., Any], data: Path, tmp_path: Path
) -> None:
    from convert.conversion import convert
    from train.examination import EvaluationOptions, examine

    run = told(PLAIN, STRESSED)
    options = options_for(run, data, tmp_path / "bundle")
    manifest = convert(options, lambda *_: lambda _count: None).manifest
    stated = load_bundle(options.out).manifest.indeterminate
    assert stated is not None
    assert set(stated.bands) == set(manifest.operating_points)
    told_of = {(row.split, row.precision) for row in manifest.band_figures}
    assert told_of == {(HELD_OUT, "float32"), (UNDER_STRESS, "float32"), ("test", "int8")}
    card = (options.out / "MODEL_CARD.md").read_text()
    for row in manifest.band_figures:
        assert f"| {row.split} | {row.precision} | {row.operating_point} | {row.n} |" in card
    check = EvaluationOptions(data, None, options.out, check=True, output=None, patient=None)
    examine(check)
    row = manifest.band_figures[-1]
    other = msgspec.structs.replace(row, n=row.n + 1)
    changed = msgspec.structs.replace(manifest, band_figures=[*manifest.band_figures[:-1], other])
    (options.out / "manifest.json").write_bytes(msgspec.json.encode(changed))
    from pneumo_edge.errors import BundleError

    with pytest.raises(BundleError, match=f"the band at {row.operating_point} on test"):
        examine(check)
