"""What the least time of a member is reckoned from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from benchmarks.ceiling import Precision, Rates, measure, product, table
from benchmarks.operations import count
from pneumo_edge.bundle import load_bundle


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_product_is_one_of_matrices(precision: Precision) -> None:
    model, left = product(precision, 64)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (unit,) = session.run(None, {"left": np.eye(64, dtype=left.dtype)})  # the constant itself
    (made,) = session.run(None, {"left": left})
    np.testing.assert_allclose(made, left.astype(np.float64) @ unit, rtol=1e-4, atol=1e-3)
    assert np.unique(unit).size > 100, "a constant of few values would suit some kernels too well"


def test_bounds_are_the_counted_work_over_the_measured_rates(shipped_bundle: Path) -> None:
    bundle = load_bundle(shipped_bundle)
    rates, rows = measure(bundle, laps=2)
    *members, whole = rows
    for row, work in zip(members, count(bundle), strict=True):
        assert row.name == work.name
        assert row.int8_ms == pytest.approx(work.macs / rates.int8 / 1e6)
        assert row.float32_ms == pytest.approx(work.macs / rates.float32 / 1e6)
        assert row.measured_ms > 0
    assert whole.measured_ms == pytest.approx(sum(row.measured_ms for row in members))
    assert table(Rates(200, 50), rows)[1].endswith("a ratio of 4.0.")
