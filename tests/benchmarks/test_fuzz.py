"""Damage that can be had again, and a short run of it on the real files."""

from __future__ import annotations

import json
import os
import random
import signal
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks import fuzz
from benchmarks.fuzz import Fuzzer
from benchmarks.mutate import MAX_GROWTH, mutate
from pneumo_edge.decode import decode
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.sandbox import Limits, Sandbox

pytest.importorskip("pydicom")

RAMP = np.linspace(20, 230, 100 * 90).reshape(100, 90).astype(np.uint8)
SEEDS = {
    suffix: [bytes(cv2.imencode(suffix, RAMP)[1])] for suffix in (".png", ".jpg", ".tiff", ".webp")
}
SHORT_S = 20.0


def numbers(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - it has to be repeatable


@given(number=st.integers(0, 10**6), kind=st.sampled_from(sorted(SEEDS)))
def test_damage_is_the_same_for_the_same_number(number: int, kind: str) -> None:
    data, other = SEEDS[kind][0], SEEDS[".jpg"][0]
    once = mutate(data, other, numbers(number))
    assert once == mutate(data, other, numbers(number))
    assert len(once) <= len(data) + len(other) + 4 * (MAX_GROWTH + 512)


def test_nearly_all_damage_changes_the_file() -> None:
    data = SEEDS[".png"][0]
    same = sum(mutate(data, data, numbers(number)) == data for number in range(500))
    assert same < 50


@settings(max_examples=60)
@given(number=st.integers(0, 10**9), kind=st.sampled_from(sorted(SEEDS)))
def test_damage_is_read_or_refused_in_words(number: int, kind: str) -> None:
    """Without the sandbox: what would end the worker ends the test."""
    damaged = mutate(SEEDS[kind][0], SEEDS[".tiff"][0], numbers(number))
    try:
        said = f"film of {decode(damaged, 'film').pixels.ndim} dimensions"
    except BadRadiographError as err:
        said = str(err)
    assert said == "film of 2 dimensions" or (said.startswith("film") and "; to fix it, " in said)


def test_a_crash_of_the_decoder_is_counted_as_one() -> None:
    with closing(Sandbox(Limits(wall_s=0.2))) as box:
        box.decode(SEEDS[".png"][0], "film")
        assert box._worker is not None
        os.kill(box._worker.pid, signal.SIGSTOP)
        fuzzer = Fuzzer(SEEDS, 0, box)
        number = next(n for n in range(100) if fuzzer.input(n)[1])
        assert fuzzer.run(number) == "crash"
    (failure,) = fuzzer.tally.failures
    assert failure["number"] == number
    assert "took more than 0.2 s" in str(failure["says"])


def test_a_short_run_on_the_real_files_ends_in_findings_and_refusals(
    shared_data: Path, tmp_path: Path
) -> None:
    app = typer.Typer()
    app.command()(fuzz.command)
    # Elsewhere than the nightly run begins, which has been there.
    options = [
        "--start",
        "1000000",
        "--inputs",
        "4000",
        "--seconds",
        str(SHORT_S),
        "--save",
        str(tmp_path / "kept"),
    ]
    ran = CliRunner().invoke(app, ["--data", str(shared_data), *options])
    result = json.loads(ran.stdout.splitlines()[-1])
    assert result["failures"] == []
    assert ran.exit_code == 0
    assert sum(result["outcomes"].values()) == result["inputs"] > 0
    assert not (tmp_path / "kept").exists()


def test_without_the_real_files_it_says_so(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(fuzz.command)
    ran = CliRunner().invoke(app, ["--data", str(tmp_path)])
    assert ran.exit_code == 1
    assert "holds no kermany/test and dicom folder" in str(ran.exception)
