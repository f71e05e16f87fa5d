from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import MEMBER_NAMES
from train.fuse import (
    balanced_threshold,
    choose_strength,
    fit_fusion,
    fuse_run,
    join,
    linear_fusion,
    screening_threshold,
    shrunken_fusion,
)
from train.recipe import load_recipe
from train.run import Fusion, Predictions, Run


def predictions(n: int, seed: int, skill: float = 2.0, first: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = [k % 2 for k in range(n)]
    logits = rng.normal(size=n) + skill * (np.array(labels) - 0.5)
    return Predictions(
        films=[f"f{first + k}" for k in range(n)],
        patients=[f"p{(first + k) // 2}" for k in range(n)],
        labels=labels,
        probabilities=[float(p) for p in 1 / (1 + np.exp(-logits))],
    )


def fused_run(folder: Path, folds: Mapping[str, tuple[str, ...]]) -> Run:
    """A run with predictions and, in place of models, empty files: fusing reads predictions only."""
    run = Run(folder)
    run.write("recipe.json", load_recipe("paper"))
    for number, (name, done) in enumerate(folds.items()):
        for fold in done:
            (run.member(name, fold)).mkdir(parents=True)
            (run.member(name, fold) / "model.keras").touch()
            if fold != "all":
                got = predictions(40, 10 * number + int(fold), number + 0.5, 100 * int(fold))
                run.write(f"{name}/fold-{fold}/held_out.json", got)
    return run


def oof(run: Run, fold: str) -> NDArray[np.float64]:
    """(films, members), read without `train.fuse`."""
    parts = [run.read(f"{n}/fold-{fold}/held_out.json", Predictions) for n in MEMBER_NAMES]
    return np.array([part.probabilities for part in parts]).T


@given(seed=st.integers(0, 10_000), n=st.integers(8, 80))
def test_the_fusion_is_the_least_squares_solution(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, labels = rng.random((n, 4)), rng.integers(0, 2, n)
    weights, bias = linear_fusion(x, labels)
    expected, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(n)]), labels, rcond=None)
    np.testing.assert_allclose([*weights, bias], expected, atol=1e-8)


@st.composite
def scores_and_labels(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    # Few levels, so that ties come up; some lie closer together than six decimals tell apart.
    level = st.sampled_from([0.0, 1e-8, 2e-8, 0.1, 0.1 + 1e-7, 0.25, 0.5, 0.9, 1.1])
    scores = np.array(draw(st.lists(level, min_size=4, max_size=120)))
    labels = np.array(draw(st.lists(st.integers(0, 1), min_size=len(scores), max_size=len(scores))))
    assume(len(set(labels.tolist())) == 2)
    assume(len(set(scores.tolist())) >= 2)
    return scores, labels


def sensitivity(scores: NDArray[np.float64], labels: NDArray[np.int64], cut: float) -> float:
    return float((scores[labels == 1] > cut).mean())


def specificity(scores: NDArray[np.float64], labels: NDArray[np.int64], cut: float) -> float:
    return float((scores[labels == 0] <= cut).mean())


def cuts(scores: NDArray[np.float64]) -> list[float]:
    distinct = sorted(set(scores.tolist()))
    return [(a + b) / 2 for a, b in pairwise(distinct)]


@given(films=scores_and_labels())
def test_no_threshold_is_better_balanced_than_the_balanced_one(
    films: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    scores, labels = films
    best = max(
        sensitivity(scores, labels, c) + specificity(scores, labels, c) for c in cuts(scores)
    )
    got = balanced_threshold(scores, labels)
    assert sensitivity(scores, labels, got) + specificity(scores, labels, got) == pytest.approx(
        best
    )


@given(films=scores_and_labels())
def test_the_screening_threshold_is_the_highest_that_loses_no_more_than_2_percent(
    films: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    scores, labels = films
    got = screening_threshold(scores, labels)
    assert sensitivity(scores, labels, got) >= 0.98
    higher = [c for c in cuts(scores) if c > got]
    assert all(sensitivity(scores, labels, c) < 0.98 for c in higher)


def test_equal_scores_cannot_be_cut() -> None:
    with pytest.raises(RecipeError, match=r"every film has the score 0\.5000"):
        balanced_threshold(np.full(4, 0.5), np.array([0, 1, 0, 1]))


def test_members_are_joined_film_by_film() -> None:
    one, two = predictions(6, 1), predictions(6, 2)
    x, labels, patients = join({"vgg16": [one], "vgg19": [two]})
    assert x.shape == (6, 2)
    assert x[:, 1].tolist() == two.probabilities
    assert labels.tolist() == one.labels
    assert patients.tolist() == one.patients


def test_members_that_saw_different_films_are_not_joined() -> None:
    with pytest.raises(RecipeError, match="vgg19 was evaluated on other films"):
        join({"vgg16": [predictions(6, 1)], "vgg19": [predictions(6, 1, first=1)]})


def test_a_run_is_fused_on_the_folds_that_all_members_finished(tmp_path: Path) -> None:
    folds = dict.fromkeys(MEMBER_NAMES, ("0", "1", "all")) | {"xception": ("0", "10", "1")}
    run = fused_run(tmp_path, folds)
    fusion = fuse_run(run)
    assert run.fusion() == fusion
    assert fusion.folds == ["0", "1"]
    assert fusion.films == 80
    x = np.concatenate([oof(run, k) for k in ("0", "1")])
    labels = np.array([k % 2 for k in range(40)] * 2)
    expected, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(80)]), labels, rcond=None)
    np.testing.assert_allclose([*fusion.weights.values(), fusion.bias], expected, atol=1e-8)
    assert tuple(fusion.weights) == MEMBER_NAMES
    y = np.column_stack([x, np.ones(80)]) @ expected
    assert fusion.operating_points["paper"] == 0.5
    assert sensitivity(y, labels, fusion.operating_points["screening"]) >= 0.98
    rows = {(r.subject, r.operating_point): r for r in fusion.out_of_fold}
    assert len(rows) == 3 + 4
    screening = rows["fused", "screening"]
    assert screening.sensitivity.value == pytest.approx(
        sensitivity(y, labels, screening.threshold), abs=1e-4
    )


def test_a_run_is_not_fused_while_a_member_is_missing(tmp_path: Path) -> None:
    run = fused_run(tmp_path, dict.fromkeys(MEMBER_NAMES[:3], ("0",)))
    with pytest.raises(RecipeError, match=r"no trained xception.*--member xception"):
        fuse_run(run)
    assert not (tmp_path / "fusion.json").exists()


def test_a_run_is_not_fused_without_a_common_fold(tmp_path: Path) -> None:
    run = fused_run(tmp_path, dict.fromkeys(MEMBER_NAMES, ("0",)) | {"vgg19": ("1", "all")})
    with pytest.raises(RecipeError, match=r"no fold of .* is finished by all four"):
        fuse_run(run)


def test_what_was_fused_can_be_read_back_and_a_missing_fusion_is_named(tmp_path: Path) -> None:
    run = fused_run(tmp_path, dict.fromkeys(MEMBER_NAMES, ("0",)))
    with pytest.raises(RecipeError, match=r"has no fusion\.json.*train fuse"):
        run.fusion()
    assert isinstance(fuse_run(run), Fusion)


def correlated(n: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Four members that are wrong together, the last one a little better."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    logits = 3 * (labels - 0.5)[:, None] + rng.normal(0, 1.5, (n, 1)) + rng.normal(0, 0.5, (n, 4))
    logits[:, 3] += (labels - 0.5) * 0.5
    return 1 / (1 + np.exp(-logits)), labels


@given(seed=st.integers(0, 99), strength=st.sampled_from([0.0, 1e-3, 0.1, 10.0]))
def test_shrunken_weights_are_the_least_of_what_they_minimise(seed: int, strength: float) -> None:
    x, labels = correlated(200, seed)
    weights, bias = shrunken_fusion(x, labels, strength)
    assert (weights >= 0).all()
    centred, mean = labels - labels.mean(), x.mean(axis=1) - x.mean()
    slope = (mean @ centred) / (mean @ mean)

    def cost(a: NDArray[np.float64]) -> float:
        free = labels - x @ a
        return float(np.var(free) + strength * np.sum((a - slope / 4) ** 2))

    assert bias == pytest.approx(float(np.mean(labels - x @ weights)))
    rng = np.random.default_rng(seed)
    for _ in range(50):
        other = np.maximum(0, weights + rng.normal(0, 0.05, 4))
        assert cost(weights) <= cost(other) + 1e-12


def test_without_end_the_weights_are_equal_and_the_ranking_is_the_plain_means() -> None:
    x, labels = correlated(300, 1)
    weights, bias = shrunken_fusion(x, labels, 1e6)
    assert weights == pytest.approx([weights.mean()] * 4, rel=1e-3)
    fitted = LinearRegression().fit(x.mean(axis=1)[:, None], labels)
    assert weights.sum() == pytest.approx(float(fitted.coef_[0]), rel=1e-3)
    assert bias == pytest.approx(float(fitted.intercept_), abs=1e-3)


def test_where_members_are_equally_good_the_weights_are_drawn_together() -> None:
    x, labels = correlated(60, 2)
    alike = np.column_stack([x[:, :1]] * 4) + np.random.default_rng(1).normal(0, 0.02, (60, 4))
    groups = np.arange(60) // 3
    weights, _, strength = fit_fusion("shrunken", alike, labels, groups)
    assert strength == choose_strength(alike, labels, groups) > 0
    plain, _, none = fit_fusion("ols", alike, labels, groups)
    assert none == 0
    assert np.ptp(weights) < 0.5 * np.ptp(plain)


def test_members_of_which_one_alone_is_right_are_not_made_equal() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 400)
    x = np.column_stack(
        [rng.uniform(0, 1, (400, 3)), np.clip(labels + rng.normal(0, 0.1, 400), 0, 1)]
    )
    weights, _, _ = fit_fusion("shrunken", x, labels, np.arange(400) // 2)
    assert weights[3] > 0.9
    assert weights[:3].max() < 0.05


@pytest.mark.parametrize("folds", [("0",), ("0", "1", "2")])
def test_a_run_is_fused_as_its_recipe_says(folds: tuple[str, ...], tmp_path: Path) -> None:
    run = fused_run(tmp_path, dict.fromkeys(MEMBER_NAMES, folds))
    paper = fuse_run(run)
    assert (paper.method, paper.shrinkage) == ("ols", 0.0)
    run.write("recipe.json", msgspec.structs.replace(load_recipe("paper"), fusion="shrunken"))
    fusion = fuse_run(run)
    assert fusion.method == "shrunken"
    x = np.concatenate([oof(run, fold) for fold in folds])
    labels = np.array([k % 2 for k in range(40)] * len(folds))
    weights, bias = shrunken_fusion(x, labels, fusion.shrinkage)
    assert list(fusion.weights.values()) == pytest.approx(weights.tolist())
    assert fusion.bias == pytest.approx(bias)
    assert run.fusion() == fusion


def test_films_under_stress_are_fitted_on_beside_the_films_as_they_are(tmp_path: Path) -> None:
    run = fused_run(tmp_path, dict.fromkeys(MEMBER_NAMES, ("0", "1")))
    plain = fuse_run(run)
    run.write("recipe.json", msgspec.structs.replace(load_recipe("paper"), fuse_stressed=True))
    for number, name in enumerate(MEMBER_NAMES):
        for fold in ("0", "1"):
            clean = run.read(f"{name}/fold-{fold}/held_out.json", Predictions)
            worse = predictions(40, 1000 + 10 * number + int(fold), 0.2, 100 * int(fold))
            assert worse.films == clean.films
            run.write(f"{name}/fold-{fold}/stressed.json", worse)

    both = fuse_run(run)

    x, labels = [], []
    for fold in ("0", "1"):
        for file in ("held_out", "stressed"):
            parts = [run.read(f"{n}/fold-{fold}/{file}.json", Predictions) for n in MEMBER_NAMES]
            x.append(np.array([part.probabilities for part in parts]).T)
            labels += parts[0].labels
    rows = np.concatenate(x)
    expected, *_ = np.linalg.lstsq(np.column_stack([rows, np.ones(len(rows))]), labels, rcond=None)
    np.testing.assert_allclose([*both.weights.values(), both.bias], expected, atol=1e-8)
    assert (plain.films, both.films) == (80, 80)
    assert (plain.stressed, both.stressed) == (False, True)


def test_a_run_without_films_under_stress_is_refused_where_the_recipe_asks_for_them(
    tmp_path: Path,
) -> None:
    run = fused_run(tmp_path, dict.fromkeys(MEMBER_NAMES, ("0",)))
    run.write("recipe.json", msgspec.structs.replace(load_recipe("paper"), fuse_stressed=True))
    with pytest.raises(RecipeError, match=r"stressed\.json"):
        fuse_run(run)
