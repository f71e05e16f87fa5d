"""Overlays as files: what they are called, where they may lie, and that each is whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.heatmap import MAP_SIDE, Explanation, HeatMap
from pneumo_edge.overlay import Look, draw
from pneumo_edge.overlays import Overlays, file_name
from pneumo_edge.types import Finding, MemberScore, Refusal, Timings


def finding(file: str, film: NDArray[np.uint8] | None) -> Finding:
    heat = HeatMap(np.zeros((MAP_SIDE, MAP_SIDE), np.float32), 0.0, 0.5, ("vgg16",))
    shown = None if film is None else Explanation(film, heat)
    votes = (MemberScore("vgg16", 0.9, 2.2, 1.0),)
    times = Timings(1, 1, 1, 3)
    return Finding(
        file, "normal", 0.2, 0.5, "paper", votes, times, "cpu", "6217d46d09e1", explanation=shown
    )


def test_a_finding_gets_its_picture_and_names_it(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    folder = tmp_path / "new" / "overlays"
    look = Look(opacity=0.3)
    given_finding = finding("films/a film.png", grey)
    kept = Overlays(folder, ["films"], look).keep(given_finding)
    assert isinstance(kept, Finding)
    (file,) = folder.iterdir()
    assert kept.overlay == str(file)
    assert given_finding.explanation is not None
    expected = draw(given_finding.explanation, given_finding, look)
    found = cv2.imread(str(file))
    assert found is not None
    np.testing.assert_array_equal(found[..., ::-1], expected)
    assert file.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_what_has_no_explanation_is_passed_on(tmp_path: Path) -> None:
    overlays = Overlays(tmp_path / "out", [], Look())
    for outcome in (Refusal("a.png", "is a hand", "name a film"), finding("a.png", None)):
        assert overlays.keep(outcome) is outcome
    assert not list((tmp_path / "out").iterdir())


def test_films_that_are_called_alike_do_not_meet(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    overlays = Overlays(tmp_path, [], Look())
    films = {"a/film.png": grey, "b/film.png": 255 - grey, "c/film.jpg": grey[:, ::-1]}
    for name, film in films.items():
        overlays.keep(finding(name, film))
    overlays.keep(finding("d/film.png", grey))  # the first one again
    assert len(list(tmp_path.iterdir())) == 3
    assert all(path.name.startswith("film-") for path in tmp_path.iterdir())


@given(name=st.text(st.characters(exclude_characters="\0"), min_size=1))
def test_any_name_makes_a_file_name(name: str) -> None:
    made = file_name(finding(name, np.zeros((4, 5), np.uint8)))
    assert Path(made).name == made
    assert made.endswith(".png")
    assert not made.startswith((".", "-"))
    assert made.isprintable()
    assert len(made.encode()) <= 120 + len("-01234567.png")


@pytest.mark.parametrize(
    ("file", "stem"), [("-", "stdin"), ("..png", "film"), ("a b.png", "a_b"), ("ü" * 99, "ü" * 60)]
)
def test_odd_names(file: str, stem: str) -> None:
    assert file_name(finding(file, np.zeros((4, 5), np.uint8))).startswith(f"{stem}-")


def test_a_folder_that_cannot_be_made_is_one_line(film: Path) -> None:
    with pytest.raises(PneumoEdgeError, match=r"cannot write to .* \(Not a directory\)"):
        Overlays(film / "below a file", [], Look())


def test_a_disk_that_fails_leaves_no_half_of_a_picture(
    tmp_path: Path, grey: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    overlays = Overlays(tmp_path, [], Look())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(PneumoEdgeError, match=r"cannot write .*No space left"):
        overlays.keep(finding("a.png", grey))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("below", [".", "overlays", "deep/er"])
def test_a_folder_that_is_screened_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "films").mkdir()
    with pytest.raises(PneumoEdgeError, match="would be taken for films"):
        Overlays(tmp_path / "films" / below, ["-", str(tmp_path / "films")], Look())


@pytest.mark.parametrize("beside", ["overlays", "films/.overlays", "films2"])
def test_a_folder_beside_it_or_hidden_is_not(tmp_path: Path, beside: str) -> None:
    (tmp_path / "films").mkdir()
    Overlays(tmp_path / beside, [str(tmp_path / "films"), "*.png"], Look())
    assert (tmp_path / beside).is_dir()
