from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from convert.ranges import apart, best_range, fake_quantize, whole_range


@given(low=st.floats(-50, 0), high=st.floats(0.01, 50), seed=st.integers(0, 99))
def test_values_within_the_range_move_by_half_a_level_at_most(
    low: float, high: float, seed: int
) -> None:
    values = np.random.default_rng(seed).uniform(low, high, 100).astype(np.float32)
    step = (high - low) / 255
    # One level more at the ends, where the zero point is rounded to a whole level.
    assert np.abs(fake_quantize(values, (low, high)) - values).max() <= 1.01 * step


def test_zero_stays_zero() -> None:
    assert fake_quantize(np.zeros(3, np.float32), (-0.3, 1.7)).tolist() == [0, 0, 0]


def test_a_tensor_of_zeros_is_left_alone() -> None:
    values = np.zeros(3, np.float32)
    assert fake_quantize(values, best_range(values)).tolist() == [0, 0, 0]


def test_a_lonely_extreme_value_is_cut_off_where_that_loses_less() -> None:
    values = np.abs(np.random.default_rng(0).normal(size=100_000)).astype(np.float32)
    values[5] = 9.0  # of 255 levels the others would get 120
    found = best_range(values)
    assert found[1] < 9.0

    def lost(limits: tuple[float, float]) -> float:
        return float(np.mean((fake_quantize(values, limits) - values) ** 2))

    assert lost(found) < lost(whole_range(values))


def test_evenly_spread_values_keep_their_whole_range() -> None:
    values = np.linspace(-1, 3, 10_001, dtype=np.float32)
    assert best_range(values) == whole_range(values) == (-1, 3)


@given(
    values=arrays.arrays(np.float32, 50, elements=st.floats(-3, 3, width=32)),
    copies=st.sampled_from([2, 4]),
)
def test_the_mean_of_copies_is_rounded_to_a_part_of_a_step(
    values: NDArray[np.float32], copies: int
) -> None:
    limits = (0.0, 2.55)  # as behind a ReLU, a step of 0.01
    offsets = apart(limits, copies, copies)
    rounded = [fake_quantize(np.maximum(values + offset, 0), limits) for offset in offsets]
    fine = np.clip(values, 0, 2.55 - 0.01)
    inside = values < 2.55 - 0.01
    # Half of a part of a step, and what float32 loses.
    off = np.abs(np.mean(rounded, axis=0) - fine)[inside]
    assert (off <= 0.005 / copies + 1e-6).all()
    np.testing.assert_array_equal(np.mean(rounded, axis=0)[values < -0.01], 0)


def test_one_copy_stays_where_it_is() -> None:
    np.testing.assert_array_equal(apart((-1.0, 1.0), 1, 3), np.zeros(3))
    np.testing.assert_allclose(apart((0.0, 255.0), 2, 4), [-0.25, -0.25, 0.25, 0.25])
