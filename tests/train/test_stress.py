from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from train.dataset import Dataset
from train.stress import foreign, stressed


@pytest.mark.parametrize("change", [stressed, foreign])
def test_stressed_films_are_the_same_films_changed_alike_for_a_seed(
    dataset: Dataset, change: Callable[[Dataset, int], Dataset]
) -> None:
    before = dataset.tensors.copy()
    one, again, other = change(dataset, 1), change(dataset, 1), change(dataset, 2)
    assert one.films == dataset.films
    assert one.tensors.dtype == np.uint8
    assert one.tensors.shape == dataset.tensors.shape
    np.testing.assert_array_equal(dataset.tensors, before)
    np.testing.assert_array_equal(one.tensors, again.tensors)
    changed = np.abs(one.tensors.astype(float) - before).mean(axis=(1, 2, 3))
    assert (changed > 2).all()
    assert (one.tensors != other.tensors).any(axis=(1, 2, 3)).all()
    assert len(change(dataset.subset([]), 1)) == 0
