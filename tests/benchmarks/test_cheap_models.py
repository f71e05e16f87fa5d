from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cheap_models import STRENGTHS, Views, candidates, ridge, thumbnails

RNG = np.random.default_rng(6)


def test_the_ridge_is_the_one_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x = RNG.normal(size=(60, 5)).astype(np.float32) * [1, 2, 3, 4, 5] + 7
    labels = (x[:, 0] + RNG.normal(size=60) > 7).astype(np.int64)
    rows = np.arange(40)
    got = ridge([x.astype(np.float32)], rows, labels)(x[40:].astype(np.float32))
    z = (x - x[rows].mean(0)) / x[rows].std(0)
    ill = labels[rows] == 1
    weights = np.where(ill, 0.5 / ill.mean(), 0.5 / (1 - ill.mean()))
    for strength, scores in zip(STRENGTHS, got, strict=True):
        model = linear_model.Ridge(alpha=strength * 40, fit_intercept=False)
        model.fit(z[rows], np.where(ill, 1, -1), sample_weight=weights)
        np.testing.assert_allclose(scores, model.predict(z[40:]), atol=1e-3)


def test_thumbnails_are_prepared_as_they_are_called() -> None:
    films = RNG.integers(0, 256, (3, 150, 150, 1)).astype(np.uint8)
    plain = thumbnails("grey levels", 8)(films)
    assert plain.shape == (3, 64)
    assert plain.mean() == pytest.approx(films.mean(), abs=1)
    level = thumbnails("standardised", 8)(films)
    assert level.mean(axis=1) == pytest.approx(0, abs=1e-5)
    framed = films.copy()
    framed[:, :15] = framed[:, -15:] = framed[:, :, :15] = framed[:, :, -15:] = 0
    centre = thumbnails("centre", 8)
    np.testing.assert_array_equal(centre(films), centre(framed))
    brighter = (films // 2 + 100).astype(np.uint8)
    equal = thumbnails("equalised", 8)
    assert (
        np.abs(equal(films) - equal(brighter)).mean()
        < np.abs(plain - thumbnails("grey levels", 8)(brighter)).mean()
    )


def test_candidates_are_fitted_on_films_as_they_are_on_changed_ones_and_on_both() -> None:
    tensors = RNG.integers(0, 256, (5, 6, 150, 150, 1)).astype(np.uint8)
    made = candidates("small", "thumbnails", thumbnails("grey levels", 8), Views(*tensors))
    assert [c.name for c in made] == ["small, as they are", "small, changed", "small, both"]
    assert [len(c.train) for c in made] == [1, 1, 2]
    np.testing.assert_array_equal(made[0].train[0], made[1].clean)
    np.testing.assert_array_equal(made[2].train[1], made[1].train[0])
