from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from convert.rounding import (
    DAMPING,
    LEVELS,
    REFIT_DAMPING,
    Inputs,
    joint_spread,
    nearest,
    refit,
    round_weights,
    scales,
    study,
)

KERNELS = arrays.arrays(
    np.float32,
    (3, 10),
    elements=st.floats(-1, 1, width=32).filter(lambda v: v == 0 or abs(v) > 1e-6),
)


def correlated(rows: int, columns: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    made = rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns))
    return np.asarray(made - made.mean(0), dtype=np.float32)


def studied(centred: NDArray[np.float32], damping: float = DAMPING) -> Inputs:
    return study(joint_spread(centred), damping)


@given(kernel=KERNELS)
def test_levels_are_whole_and_within_int8(kernel: NDArray[np.float32]) -> None:
    levels = round_weights(kernel, scales(kernel), studied(correlated(50, 10)))
    np.testing.assert_array_equal(levels, np.rint(levels))
    assert np.abs(levels).max() <= LEVELS


@pytest.mark.parametrize("columns", [9, 300])  # within one block, and across three
def test_correlated_inputs_lose_less_than_by_the_nearest_levels(columns: int) -> None:
    inputs = correlated(2000, columns)
    kernel = np.random.default_rng(1).normal(size=(16, columns)).astype(np.float32)
    steps = scales(kernel) * 8

    def lost(levels: NDArray[np.float32]) -> float:
        return float(np.mean((inputs @ (kernel - levels * steps[:, None]).T) ** 2))

    assert lost(round_weights(kernel, steps, studied(inputs))) < 0.7 * lost(nearest(kernel, steps))


def test_independent_inputs_are_rounded_to_the_nearest_levels() -> None:
    kernel = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    inputs = np.concatenate([np.eye(6), -np.eye(6)]).astype(np.float32)
    found = round_weights(kernel, scales(kernel), studied(inputs))
    np.testing.assert_array_equal(found, nearest(kernel, scales(kernel)))


def test_inputs_that_never_vary_do_not_break_it() -> None:
    kernel = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    found = round_weights(kernel, scales(kernel), studied(np.zeros((20, 6), np.float32)))
    np.testing.assert_array_equal(found, nearest(kernel, scales(kernel)))


def test_a_refitted_kernel_makes_good_what_its_inputs_lost() -> None:
    exact = correlated(3000, 12)
    given_ = exact * np.linspace(
        0.8, 1, 12, dtype=np.float32
    )  # a loss that is linear, and can be undone
    kernel = np.random.default_rng(1).normal(size=(5, 12)).astype(np.float32)
    fitted = refit(kernel, studied(given_), exact - given_, given_)
    before = np.mean((exact @ kernel.T - given_ @ kernel.T) ** 2)
    after = np.mean((exact @ kernel.T - given_ @ fitted.T) ** 2)
    assert after < 0.1 * before


def test_what_few_rows_have_in_common_by_chance_is_hardly_learnt() -> None:
    rng = np.random.default_rng(2)
    rounded = rng.normal(size=(60, 40)).astype(np.float32)  # hardly more rows than inputs
    lost = 0.1 * rng.normal(size=(60, 40)).astype(np.float32)  # nothing to do with what is left
    kernel = rng.normal(size=(5, 40)).astype(np.float32)
    light, heavy = (
        refit(kernel, studied(rounded, damping), lost, rounded) - kernel
        for damping in (DAMPING, REFIT_DAMPING)
    )
    assert np.linalg.norm(heavy) < 0.8 * np.linalg.norm(light)
