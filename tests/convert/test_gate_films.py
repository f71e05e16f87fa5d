"""The gate's films: from training folders alone, in parts that share no patient."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from convert.gate_films import LEAST, beside, read_sources
from pneumo_edge.errors import DatasetError
from train.dataset import training_films


def quiet(_what: str, _steps: int) -> object:
    return lambda _count: None


def write(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(count)
    for number in range(count):
        film = rng.integers(0, 256, (160, 160)).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.png"), film)
    return folder


def test_no_patient_is_on_both_sides(data: Path, tmp_path: Path) -> None:
    films = training_films(data)
    other = write(tmp_path / "elsewhere", LEAST)
    first, second = read_sources(films, [other], 5, quiet)  # type: ignore[arg-type]
    assert (first.name, second.name) == ("train", "elsewhere")
    assert len(first.fit) + len(first.held_out) == len(films)
    # 12 patients of two films each: a third of them are held out, whole.
    assert len(first.held_out) == 2 * 4
    assert len(second.fit) + len(second.held_out) == LEAST
    again, _ = read_sources(films, [other], 5, quiet)  # type: ignore[arg-type]
    np.testing.assert_array_equal(first.fit, again.fit)


def test_too_few_films_are_refused_by_the_folder_s_name(data: Path, tmp_path: Path) -> None:
    few = write(tmp_path / "few", LEAST - 1)
    with pytest.raises(DatasetError, match=f"{LEAST - 1} films of few"):
        read_sources(training_films(data), [few], 5, quiet)  # type: ignore[arg-type]


def test_a_test_split_is_refused(data: Path) -> None:
    with pytest.raises(DatasetError, match="test split"):
        read_sources(training_films(data), [data / "test"], 5, quiet)  # type: ignore[arg-type]


def test_unlabelled_films_beside_the_data_set_are_found(tmp_path: Path) -> None:
    (tmp_path / "kermany").mkdir()
    assert beside(tmp_path / "kermany") == ()
    write(tmp_path / "pretrain" / "b", 1)
    write(tmp_path / "pretrain" / "a", 1)
    assert [folder.name for folder in beside(tmp_path / "kermany")] == ["a", "b"]
