from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from convert import schemes
from convert.quantize import SCHEMES, Scheme
from convert.representative import RepresentativeSet
from pneumo_edge.manifest import MEMBER_NAMES
from train.run import Run


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_a_scheme_s_cost_is_that_of_its_file(
    small_member: Callable[..., Any], more_pixels: NDArray[np.uint8], scheme: Scheme
) -> None:
    chosen = RepresentativeSet((), more_pixels[:14], more_pixels[14:], seed=0)
    cost = schemes.measure_scheme(small_member(0.0), chosen, scheme, laps=2, threads=1)
    assert cost.scheme == SCHEMES[scheme]
    assert cost.milliseconds > 0
    # XNNPACK takes no 16-bit activations.
    assert (cost.partitions == 0) == (scheme == "int16")
    assert 0 < cost.mean_abs_dp <= cost.worst_abs_dp < 0.2


def test_one_command_prints_every_member_by_every_scheme(run: Run, data: Path) -> None:
    app = typer.Typer()
    app.command()(schemes.main)
    options = ["--data", str(data), "--representative", "8", "--laps", "1"]
    done = CliRunner().invoke(app, [str(run.folder), *options])
    assert done.exit_code == 0, done.output
    rows = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines()[2:]]
    assert [(row[1], row[2]) for row in rows] == [
        (name, told) for name in MEMBER_NAMES for told in (*SCHEMES.values(), schemes.OFF_BY_ONE)
    ]
    for row in rows:
        assert len(row) == len(schemes.COLUMNS) + 2
        assert float(row[6]) <= float(row[7])


def test_off_by_one_is_what_such_films_make_of_p(
    small_member: Callable[..., Any], more_pixels: NDArray[np.uint8]
) -> None:
    member = small_member(0.0)
    films = np.concatenate([more_pixels, np.zeros_like(more_pixels[:1])])
    moved = schemes.off_by_one(member, films, seed=3)
    assert moved.shape == (len(films),)
    assert (moved > 0).all()
    assert np.array_equal(moved, schemes.off_by_one(member, films, seed=3))
    assert not np.array_equal(moved, schemes.off_by_one(member, films, seed=4))
    ten = np.abs(np.diff(member.predict(np.stack([films[0], films[0] + 10.0]), verbose=0)[:, 0]))
    assert moved[0] < ten + 0.01, "a grey level is no more than ten"


def test_a_member_that_is_not_trained_yet_is_named_and_left_out(
    run: Run, data: Path, tmp_path: Path
) -> None:
    partial = tmp_path / "run"
    shutil.copytree(run.folder, partial)
    shutil.rmtree(partial / "vgg19")
    app = typer.Typer()
    app.command()(schemes.main)
    asked = ["--member", "vgg19", "--member", "xception", "--scheme", "float16"]
    options = ["--data", str(data), "--representative", "8", "--laps", "1"]
    done = CliRunner().invoke(app, [str(partial), *asked, *options])
    assert done.exit_code == 0, done.output
    rows = [line.split(" | ")[:2] for line in done.stdout.splitlines() if "float16" in line]
    assert rows == [["| xception", SCHEMES["float16"]]]
    assert f"{partial} has no trained vgg19: left out" in done.output
    none = CliRunner().invoke(app, [str(partial), "--member", "vgg19", *options])
    assert none.exit_code == 1
    assert "no trained vgg19" in none.output


@pytest.mark.parametrize("wrong", [["--member", "alexnet"], ["--scheme", "int4"]])
def test_an_unknown_member_or_scheme_is_bad_usage(run: Run, wrong: list[str]) -> None:
    app = typer.Typer()
    app.command()(schemes.main)
    done = CliRunner().invoke(app, [str(run.folder), *wrong])
    assert done.exit_code == 2
    assert f"'{wrong[1]}' is none of" in done.output


def test_a_run_without_members_is_one_line(tmp_path: Path, data: Path) -> None:
    app = typer.Typer()
    app.command()(schemes.main)
    done = CliRunner().invoke(app, [str(tmp_path), "--data", str(data)])
    assert done.exit_code == 1
    assert "has no split.json" in done.output
