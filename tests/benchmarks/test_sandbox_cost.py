"""The sandbox's cost, over a handful of films."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.sandbox_cost import measure


def test_every_film_is_timed_on_both_ways() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (300, 300)).astype(np.uint8)
    result = measure([bytes(cv2.imencode(".png", pixels)[1])] * 5)
    assert result["films"] == 5
    for name in ("plain", "sandbox"):
        row = result[name]
        assert isinstance(row, dict)
        assert len(row["wall_ms"]["laps"]) == 5
        assert row["processor_ms"] >= 0
    assert float(str(result["start_s"])) > 0
    assert float(str(result["worker_mib"])) > 10
