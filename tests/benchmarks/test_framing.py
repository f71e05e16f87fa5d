"""The framing benchmark tells how films are framed, and what that alone would say of the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.framing import Quartiles, measure, rows, table
from pneumo_edge.errors import DatasetError
from pneumo_edge.types import Frame
from train.dataset import Dataset, Film
from train.framing import fit_template


def films(labels: list[int]) -> Dataset:
    named = tuple(Film(Path(f"{k}.png"), y, f"p{k}", f"{k}.png") for k, y in enumerate(labels))
    return Dataset(named, np.zeros((len(labels), 150, 150, 1), np.uint8))


def test_a_side_that_tells_the_classes_apart_is_told() -> None:
    frames = [Frame(0.8, 0.7), Frame(0.9, 0.8), Frame(0.8, 0.9), Frame(0.9, 1.0), Frame()]
    found, told = rows("train", films([0, 0, 1, 1, 1]), frames)
    assert [(row.label, row.n, row.whole) for row in found] == [
        ("normal", 2, 0),
        ("pneumonia", 3, 1),
    ]
    assert found[0].height == Quartiles(0.725, 0.75, 0.775)
    by_side = {row.side: row.auc for row in told}
    assert by_side == {"width": pytest.approx(4 / 6, abs=1e-3), "height": 1.0}
    lines = list(table(found, told))
    assert "| train, normal | 2 | 0.85 (0.82 to 0.88) | 0.75 (0.72 to 0.78) | 0 |" in lines
    assert "| the frame's height alone | 1.000 |" in lines


def test_one_class_tells_nothing() -> None:
    with pytest.raises(DatasetError, match="films of one class only"):
        rows("train", films([1, 1]), [Frame(), Frame()])


def test_both_splits_are_measured(tmp_path: Path) -> None:
    import cv2

    rng = np.random.default_rng(1)
    for split, first in (("train", 0), ("test", 50)):
        for label in ("NORMAL", "PNEUMONIA"):
            (tmp_path / split / label).mkdir(parents=True)
            for k in range(3):
                stem = (
                    f"IM-{first + k:04}-0001" if label == "NORMAL" else f"person{first + k}_virus_1"
                )
                film = cv2.resize(rng.integers(0, 255, (8, 8)).astype(np.uint8), (160, 160))
                assert cv2.imwrite(str(tmp_path / split / label / f"{stem}.png"), film)
    some = Dataset(films([0, 1]).films, rng.integers(0, 255, (2, 150, 150, 1)).astype(np.uint8))
    found, told, last = measure(fit_template(some, 1), tmp_path)
    assert [row.split for row in found] == ["train", "train", "test", "test"]
    assert [row.split for row in told] == ["train", "train", "test", "test"]
    assert len(last) == 6
