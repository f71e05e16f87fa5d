from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.laps import laps_ms, spread


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=300))
def test_percentiles_agree_with_numpys_nearest_rank(laps: list[float]) -> None:
    got = spread(laps)
    expected = np.percentile(laps, [50, 90, 99, 100], method="inverted_cdf")
    np.testing.assert_array_equal([got.p50, got.p90, got.p99, got.worst], expected)
    assert got.best == min(laps)
    assert got.laps == tuple(laps)


def test_no_lap_is_no_figure() -> None:
    with pytest.raises(ValueError, match="no lap"):
        spread([])


def test_a_lap_is_the_clocks_difference_and_the_warm_up_is_not_timed() -> None:
    calls = []
    ticks = (5_000_000 * n for n in count())
    got = laps_ms(lambda: calls.append(1), runs=4, warmup=3, now_ns=lambda: next(ticks))
    assert len(calls) == 7
    assert got.laps == (5.0, 5.0, 5.0, 5.0)
    assert got.relative == 0
