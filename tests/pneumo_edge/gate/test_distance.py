"""The residual is the reconstruction error of a principal component analysis."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from pneumo_edge.gate.distance import Subspace, pooled


def test_the_residual_is_that_of_an_independent_implementation() -> None:
    rng = np.random.default_rng(5)
    rows = (
        rng.normal(size=(300, 4)) @ rng.normal(size=(4, 12)) + rng.normal(0, 0.1, (300, 12))
    ).astype("f")
    analysis = PCA(4).fit(rows)
    ours = Subspace(analysis.mean_, np.ones(12, np.float32), analysis.components_.T, 2.0)
    others = rng.normal(size=(20, 12)).astype(np.float32)
    back = analysis.inverse_transform(analysis.transform(others))
    np.testing.assert_allclose(ours.residual(others), ((others - back) ** 2).sum(1) / 2, rtol=1e-4)


def test_pooling_is_the_root_of_each_channels_mean() -> None:
    features = np.zeros((1, 5, 5, 3), np.float32)
    features[0, 0, 0] = (25, 100, -50)
    np.testing.assert_allclose(pooled(features), [1, 2, 0])


def test_a_mixture_of_what_films_have_is_near_and_what_no_film_has_is_far() -> None:
    basis = np.eye(6, dtype=np.float32)[:, :2]
    ours = Subspace(np.zeros(6, np.float32), np.ones(6, np.float32), basis, 1.0)
    near, far = np.array([[9, -7, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0]], np.float32)
    assert ours.residual(near[None])[0] == pytest.approx(0)
    assert ours.residual(far[None])[0] == pytest.approx(9)
