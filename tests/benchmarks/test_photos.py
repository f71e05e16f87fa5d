"""Photos of films, simulated and measured."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.photo_scene import photograph
from benchmarks.photos import WAYS, draw, read_photo, run, table
from pneumo_edge.bundle import load_bundle
from pneumo_edge.decode import decode, decode_file
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import DatasetError
from train.dataset import KERMANY


@pytest.fixture
def films(root: Path, tmp_path: Path) -> Path:
    """Four films of each class, from the two samples."""
    for name, label in (("normal", "NORMAL"), ("pneumonia", "PNEUMONIA")):
        (tmp_path / label).mkdir()
        film = decode_file(root / "samples" / f"{name}.png").pixels
        for number in range(4):
            path = tmp_path / label / f"film-{number}.png"
            assert cv2.imwrite(str(path), np.roll(film, number, axis=1))
    return tmp_path


def test_the_same_seed_takes_the_same_picture_of_a_film(root: Path) -> None:
    film = decode_file(root / "samples" / "normal.png").pixels.astype(np.uint8)
    one, again, other = (photograph(film, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.jpeg == again.jpeg
    assert one.jpeg != other.jpeg
    picture = cv2.imdecode(np.frombuffer(one.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    rows, cols = picture.shape[:2]
    assert (one.corners > 0).all()
    assert (one.corners < [cols, rows]).all(), "the whole film is in the picture"


def test_a_photo_is_read_as_infer_reads_it(root: Path) -> None:
    film = decode_file(root / "samples" / "normal.png").pixels.astype(np.uint8)
    picture = photograph(film, np.random.default_rng(1))
    read, error = read_photo(picture, "photo")
    expected = decode(picture.jpeg, "photo")
    assert np.array_equal(read.pixels, expected.pixels)
    assert read.photo == expected.photo
    assert error is not None
    assert error < 0.01


def test_every_film_is_read_three_ways(films: Path) -> None:
    ensemble = Ensemble(load_bundle(), choose("cpu"), 1)
    report = run(ensemble, draw(films, None, 1, KERMANY), seed=1)
    assert [row.way for row in report.ways] == list(WAYS)
    assert (report.films, report.untouched) == (8, 8)
    assert report.found >= 7
    plain, photo, rectified = report.ways
    assert plain.mean_abs_dy.value == 0
    assert rectified.mean_abs_dy.value < photo.mean_abs_dy.value
    assert table(report).count("\n| ") == 1 + 1 + len(WAYS)


def test_a_draw_keeps_the_classes_shares_and_both_of_them(films: Path, tmp_path: Path) -> None:
    drawn = draw(films, 4, 3, KERMANY)
    assert sorted(film.label for film in drawn) == [0, 0, 1, 1]
    assert [film.id for film in drawn] == [film.id for film in draw(films, 4, 3, KERMANY)]
    with pytest.raises(DatasetError):
        draw(tmp_path / "nowhere", 4, 3, KERMANY)
