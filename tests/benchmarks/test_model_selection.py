from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.model_selection import Row, rank, table

pytest.importorskip("sklearn")


def row(name: str, strength: float, test: float, validation: float) -> Row:
    return Row(name, "thumbnails", strength, test, {"patient": validation})


def test_a_ranking_is_one_where_the_orders_agree_and_minus_one_where_they_are_turned() -> None:
    rows = [
        row(f"{k}", s, 0.9 + k / 100 + s / 1000, 0.5 + k / 10 + s / 100)
        for k in range(4)
        for s in (1, 2)
    ]
    same = rank(rows, "patient", "thumbnails")
    assert same.spearman == pytest.approx(1)
    assert (same.chosen, same.best) == (0.932, 0.932)
    assert same.low > 0.8
    turned = [row(r.candidate, r.strength, r.test, -r.validations["patient"]) for r in rows]
    other = rank(turned, "patient", "thumbnails")
    assert other.spearman == pytest.approx(-1)
    assert other.chosen == pytest.approx(0.901)
    assert "| thumbnails (8) | patient | -1.00 (" in table([other])[2]


def test_the_command_ranks_every_validation(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for split, first in (("train", 0), ("test", 500)):
        for label, name in enumerate(("NORMAL", "PNEUMONIA")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for n in range(first, first + 50):
                film = rng.integers(60, 120, (150, 150)).astype(np.uint8)
                cv2.circle(film, (50 + 50 * label, 75), int(rng.integers(5, 30)), 200, -1)
                stem = f"person{n}_virus_1" if label else f"IM-{n:04}-0001"
                assert cv2.imwrite(str(folder / f"{stem}.png"), film)
    done = CliRunner().invoke(app, ["selection", "--data", str(tmp_path), "--each", "50"])
    assert done.exit_code == 0, done.output
    got = json.loads(done.output.splitlines()[-1])
    stresses = ("", ", under stress", ", under other stress")
    methods = [f"{m}{s}" for m in ("patient", "number", "look") for s in stresses]
    assert [r["validation"] for r in got["rankings"]] == methods
    assert len(got["rows"]) == 4 * 2 * 3 * 5
    assert all(0 <= r["test"] <= 1 for r in got["rows"])
