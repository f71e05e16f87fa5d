"""What the user may name, and the order in which it is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pneumo_edge import sources
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.sources import Source, expand, is_single


def names(*arguments: str | Path) -> list[str]:
    return [source.name for source in expand(str(argument) for argument in arguments)]


def touch(folder: Path, *files: str) -> list[str]:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return [str(folder / file) for file in files]


@pytest.mark.parametrize("at_a_time", [1, 2, 3, 1000])
def test_a_folder_comes_sorted_however_few_names_are_held(
    tmp_path: Path, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "NAMES_AT_A_TIME", at_a_time)
    expected = touch(
        tmp_path, "a.png", "b c.JPG", "d/e.tif", "d/ü.webp", "f.bmp", "g.dib", "z.jpeg"
    )
    touch(tmp_path, ".hidden.png", ".git/x.png", "notes.txt")
    assert names(tmp_path) == expected


def test_a_link_to_a_folder_is_not_followed_and_a_broken_link_is_kept(tmp_path: Path) -> None:
    (film,) = touch(tmp_path, "films/a.png")
    (tmp_path / "films" / "loop.png").symlink_to(tmp_path / "films")
    (tmp_path / "films" / "z.png").symlink_to(tmp_path / "nowhere")
    assert names(tmp_path) == [film, str(tmp_path / "films" / "z.png")]


def test_a_pattern_descends_and_comes_sorted(tmp_path: Path) -> None:
    files = touch(tmp_path, "a.png", "b/c.png", "b/d/e.png")
    assert names(tmp_path / "**" / "*.png") == files
    assert names(tmp_path / "?.png") == files[:1]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (film,) = touch(tmp_path, "film[1].png")
    assert names(film) == [film]
    assert is_single([film])


def test_the_arguments_keep_their_order(tmp_path: Path) -> None:
    one, two = touch(tmp_path, "one.png", "two.png")
    assert names(two, one, "-") == [two, one, "-"]


@pytest.mark.parametrize(
    ("argument", "says"), [("empty", "holds no image"), ("*.png", "no file matches")]
)
def test_nothing_found_is_a_failure_that_names_the_argument(
    tmp_path: Path, argument: str, says: str
) -> None:
    touch(tmp_path, "empty/readme.txt")
    (source,) = expand([str(tmp_path / argument)])
    assert source.name == str(tmp_path / argument)
    with pytest.raises(BadRadiographError, match=says):
        source.read()


def test_a_folder_that_may_not_be_read_fails_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = touch(tmp_path, "a.png", "c.png")
    touch(tmp_path, "b/x.png")
    genuine = os.scandir

    def guarded(path: Path) -> object:
        # Root may read anything, so that the system's own refusal cannot be had everywhere.
        if path.name == "b":
            raise PermissionError(13, "Permission denied")
        return genuine(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = list(expand([str(tmp_path)]))
    assert [source.name for source in found] == [first, str(tmp_path / "b"), last]
    with pytest.raises(BadRadiographError, match="Permission denied"):
        found[1].read()


def test_one_image_is_told_from_many(tmp_path: Path) -> None:
    (film,) = touch(tmp_path, "a.png")
    assert is_single([film])
    assert is_single(["-"])
    assert is_single([str(tmp_path / "missing.png")])
    assert not is_single([str(tmp_path)])
    assert not is_single([film, film])
    assert not is_single([str(tmp_path / "*.png")])


def test_a_source_reads_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    assert Source(str(tmp_path / "a.png")).read() == b"abc"
