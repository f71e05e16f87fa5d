"""What a run keeps of a conversion, for the next one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.head import Classifier
from convert.kept import FOLDER, kept_or_made, key_of
from convert.member import ConvertedMember, MemberOptions, MemberReport, Trial
from convert.representative import RepresentativeSet
from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import Grid
from train.recipe import MemberBudget

HOW = MemberOptions("int8", MemberBudget(0.01, 0.04), threads=1)
VERSIONS = {"a tool": "1.0"}


@pytest.fixture
def films(pixels: NDArray[np.uint8]) -> RepresentativeSet:
    return RepresentativeSet((), pixels[:4], pixels[4:], seed=0)


@pytest.fixture
def made() -> ConvertedMember:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s).astype(np.float32) for s in ((6, 4), (4,), (4, 1), (1,))]
    trial = Trial(
        finer={"a;b": 2},
        left_in_float=["a;b"],
        mean_abs_dp=0.001,
        worst_abs_dp=0.02,
        undecided_dp=0.03,
        bytes=9,
    )
    report = MemberReport(
        name="vgg16",
        scheme="static-int8",
        fitted_films=4,
        fitted_mean_abs_dp=0.001,
        check_mean_abs_dp=0.002,
        check_worst_abs_dp=0.02,
        stable=True,
        trials=[trial],
        ranking=[("a;b", 0.5)],
    )
    part = Classifier("vgg16", (1, 2, 3), False, *weights)
    return ConvertedMember(b"\x00tflite\xff\x00", part, "static-int8", report, Grid(1.5, 32.0))


def never() -> NoReturn:
    raise AssertionError("it was made again")


def same(one: ConvertedMember, other: ConvertedMember) -> bool:
    arrays = ("hidden_kernel", "hidden_bias", "output_kernel", "output_bias")
    told = [
        (m.tflite, m.scheme, m.report, m.grid, m.classifier.name, m.classifier.shape)
        for m in (one, other)
    ]
    return told[0] == told[1] and all(
        np.array_equal(getattr(one.classifier, a), getattr(other.classifier, a)) for a in arrays
    )


def test_what_was_made_once_is_read_the_next_time(tmp_path: Path, made: ConvertedMember) -> None:
    assert kept_or_made(tmp_path, "vgg16", "key", lambda: made) is made
    assert same(kept_or_made(tmp_path, "vgg16", "key", never), made)


def test_another_key_makes_it_again_and_takes_its_place(
    tmp_path: Path, made: ConvertedMember
) -> None:
    kept_or_made(tmp_path, "vgg16", "key", lambda: made)
    other = replace(made, tflite=b"another")
    assert kept_or_made(tmp_path, "vgg16", "other key", lambda: other) is other
    assert kept_or_made(tmp_path, "vgg16", "other key", never).tflite == b"another"
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["vgg16.npz"]


@pytest.mark.parametrize("length", [0, 20, 0.5, 0.99])
def test_a_torn_file_is_made_again(tmp_path: Path, made: ConvertedMember, length: float) -> None:
    kept_or_made(tmp_path, "vgg16", "key", lambda: made)
    path = tmp_path / FOLDER / "vgg16.npz"
    content = path.read_bytes()
    path.write_bytes(content[: int(length * len(content)) if length < 1 else int(length)])
    assert kept_or_made(tmp_path, "vgg16", "key", lambda: made) is made
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, made: ConvertedMember) -> None:
    (tmp_path / FOLDER).write_text("a file where the folder belongs")
    with pytest.raises(RecipeError, match=FOLDER):
        kept_or_made(tmp_path, "vgg16", "key", lambda: made)


def test_the_key_depends_on_all_that_the_result_depends_on(films: RepresentativeSet) -> None:
    first = key_of(b"model", films, HOW, VERSIONS)
    assert first == key_of(b"model", films, replace(HOW, threads=2), dict(VERSIONS))
    darker = films.pixels.copy()
    darker[0, 0, 0] ^= 1
    others = [
        key_of(b"another", films, HOW, VERSIONS),
        key_of(b"model", replace(films, pixels=darker), HOW, VERSIONS),
        key_of(b"model", replace(films, check=films.check[:1]), HOW, VERSIONS),
        key_of(b"model", replace(films, pixels=films.check, check=films.pixels), HOW, VERSIONS),
        key_of(b"model", films, replace(HOW, scheme="dynamic"), VERSIONS),
        key_of(b"model", films, replace(HOW, budget=MemberBudget(0.01, 0.03)), VERSIONS),
        key_of(b"model", films, HOW, {"a tool": "1.1"}),
    ]
    assert len({first, *others}) == len(others) + 1
