from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pneumo_edge.errors import DatasetError
from train.unlabelled import list_unlabelled, read_unlabelled

MakeFilms = Callable[..., Path]


def test_films_are_found_below_folders_and_told_apart_by_them(
    make_films: MakeFilms, tmp_path: Path
) -> None:
    make_films(tmp_path / "a", 2, 1, seed=1)
    make_films(tmp_path / "b/deep/er", 1, 2, seed=2)
    (tmp_path / "a/._IM-0001.png").write_bytes(b"from a Mac")
    (tmp_path / "a/notes.txt").write_text("no image")
    seen: list[tuple[int, int]] = []
    films = read_unlabelled([tmp_path / "a", tmp_path / "b"], lambda n, of: seen.append((n, of)))
    assert len(films) == 8
    assert films.folders.tolist() == [0] * 4 + [1] * 4
    assert films.tensors.shape == (8, 150, 150, 1)
    assert films.names[0] == "0/a/NORMAL/IM-0000-0000.png"
    assert not any(str(tmp_path) in name for name in films.names)
    assert seen == [(1, 8)] * 8


def test_the_films_held_out_are_a_seeded_draw(make_films: MakeFilms, tmp_path: Path) -> None:
    films = read_unlabelled([make_films(tmp_path, 5, 2, seed=3)])
    seen, held_out = films.split(6, seed=1)
    assert (len(seen), len(held_out)) == (14, 6)
    assert set(seen.names).isdisjoint(held_out.names)
    assert films.split(6, seed=1)[1].names == held_out.names
    assert films.split(6, seed=2)[1].names != held_out.names
    row = films.names.index(held_out.names[2])
    np.testing.assert_array_equal(films.tensors[row], held_out.tensors[2])
    assert films.digest("r") != seen.digest("r")
    assert films.digest("r") != films.digest("s")
    with pytest.raises(DatasetError, match="20 unlabelled films, of which 11 are to be held out"):
        films.split(11, seed=1)


def test_a_test_split_is_refused_wherever_it_lies(data: Path) -> None:
    for folder in (data, data / "test", data / "test/NORMAL"):
        with pytest.raises(DatasetError, match=r"test is a test split.*name .*train"):
            list_unlabelled(folder)
    assert len(list_unlabelled(data / "train")) == 32


def test_folders_without_films_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        list_unlabelled(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="holds no image"):
        list_unlabelled(tmp_path)


def test_a_few_unreadable_films_are_listed_and_many_are_refused(
    make_films: MakeFilms, tmp_path: Path
) -> None:
    make_films(tmp_path, 20, 1, seed=4)
    (tmp_path / "NORMAL/IM-0003-0000.png").write_bytes(b"")
    films = read_unlabelled([tmp_path])
    assert len(films) == 39
    assert [path.name for path, _ in films.skipped] == ["IM-0003-0000.png"]
    (tmp_path / "NORMAL/IM-0004-0000.png").write_bytes(b"")
    with pytest.raises(DatasetError, match="2 of 40 films cannot be read"):
        read_unlabelled([tmp_path])
