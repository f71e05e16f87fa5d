from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.comparison import compare, mcnemar
from train.evaluate import Answers


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_counts_the_tosses_that_are_as_uneven(one: int, other: int) -> None:
    n = one + other
    tail = sum(comb(n, k) for k in range(min(one, other) + 1)) / 2**n
    assert mcnemar(one, other) == pytest.approx(min(1, 2 * tail))


def test_a_model_compared_with_itself_differs_in_nothing(answers: list[Answers]) -> None:
    fused = answers[0].subjects["fused"]
    row = compare("test", ("fused", "again"), (fused, fused), (0.5, 0.5))
    assert (row.only_subject_right, row.only_other_right, row.p_value) == (0, 0, 1.0)
    for difference in (row.accuracy_difference, row.auc_difference):
        assert (difference.low, difference.value, difference.high) == (0, 0, 0)


def test_a_comparison_counts_films_and_turns_its_sign_where_the_models_change_places(
    answers: list[Answers],
) -> None:
    subjects = answers[0].subjects
    models = (subjects["fused"], subjects["xception"])
    row = compare("test", ("fused", "xception"), models, (0.55, 0.5))
    labels = models[0].labels
    right = np.array([(m.scores > t) == labels for m, t in zip(models, (0.55, 0.5), strict=True)])
    assert row.only_subject_right == (right[0] & ~right[1]).sum()
    assert row.only_other_right == (right[1] & ~right[0]).sum()
    mean = right.mean(axis=1)
    assert row.accuracy_difference.value == pytest.approx(mean[0] - mean[1], abs=1e-4)
    back = compare("test", ("xception", "fused"), models[::-1], (0.5, 0.55))
    assert back.p_value == row.p_value
    assert back.auc_difference.value == -row.auc_difference.value
    assert back.auc_difference.low == pytest.approx(-row.auc_difference.high, abs=1e-4)
