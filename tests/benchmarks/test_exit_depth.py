"""`bench exit` on a few films: what the whole ensemble says is what early exit says, or it is reported."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from benchmarks.cli import app
from benchmarks.exit_depth import ExitReport, measure
from benchmarks.exit_report import INTERRUPTED
from benchmarks.pages import marks
from pneumo_edge import choice
from pneumo_edge.bundle import load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.ensemble import Decision, Ensemble, Votes
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.measure import SAMPLES

FILMS = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two splits of blends of the two samples, and a file that is no film."""
    folder = tmp_path_factory.mktemp("data")
    normal, pneumonia = (
        decode_file(SAMPLES / f"{name}.png").pixels[:150, :150].astype(float)
        for name in ("normal", "pneumonia")
    )
    for split in ("train", "test"):
        (folder / split / "NORMAL").mkdir(parents=True)
        for at, part in enumerate(np.linspace(0, 1, FILMS)):
            blend = np.rint(normal * (1 - part) + pneumonia * part).astype(np.uint8)
            cv2.imwrite(str(folder / split / "NORMAL" / f"{at}.png"), blend)
    (folder / "test" / "broken.png").write_bytes(b"no film")
    return folder


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was measured on this machine decides no order here."""
    monkeypatch.setenv(choice.ENVIRONMENT, str(tmp_path / "cache"))


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["exit", *map(str, arguments)])


def test_every_film_of_every_split_is_compared_at_every_operating_point(
    data: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n".join([*marks("bench exit"), ""]))
    done = bench("--data", data, "--json", tmp_path / "exit.json", "--page", page)
    assert done.exit_code == 0, (done.output, done.exception)
    written = (tmp_path / "exit.json").read_bytes()
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(written)
    found = msgspec.json.decode(written, type=ExitReport)
    manifest = load_bundle().manifest
    places = [(one.split, one.operating_point) for one in found.depths]
    assert places == [(s, p) for s in ("train", "test") for p in manifest.operating_points]
    assert found.bundle == manifest.id
    assert found.refused == {"test": 1}
    for one in found.depths:
        assert (one.films, sum(one.members_run)) == (FILMS, FILMS)
        assert one.differ == []
        assert one.order == manifest.evaluation_order, "nothing was measured on this machine"
        paid, cost = 0.0, 0.0
        for name, count in zip(one.order, one.members_run, strict=True):
            cost += found.members_ms[name]
            paid += cost * count
        assert one.share == pytest.approx(paid / (cost * FILMS), abs=1e-4)
        assert one.clocked > 0


def test_a_label_that_differs_is_named_and_fails(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Ensemble.decide

    def wrong(*arguments: Any, **options: Any) -> Decision:
        found = decide(*arguments, **options)
        return replace(found, label="normal" if found.label == "pneumonia" else "pneumonia")

    monkeypatch.setattr(Ensemble, "decide", wrong)
    done = bench("--data", data, "--split", "test")
    assert done.exit_code == 1
    assert "LABEL DIFFERS at paper: test/NORMAL/0.png" in done.stdout
    assert len(json.loads(done.stdout.splitlines()[-1])["depths"][0]["differ"]) == FILMS


def test_ctrl_c_leaves_what_was_scored(data: Path) -> None:
    def say(line: str) -> None:
        if line == "train: 2 films":
            raise KeyboardInterrupt

    found = measure(load_bundle(), [data / "train", data / "test"], "cpu", 1, say)
    assert found.interrupted
    assert {(one.split, one.films) for one in found.depths} == {("train", 2)}


def test_ctrl_c_prints_it_and_tells_the_shell(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = Ensemble.score
    scored = []

    def stopped(*arguments: Any) -> Votes:
        scored.append(1)
        if len(scored) == 3:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(Ensemble, "score", stopped)
    done = bench("--data", data)
    assert done.exit_code == INTERRUPTED
    assert "Interrupted" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["depths"][0]["films"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--split", "validation"], "there is no folder .*validation"),
        (["--threads", "0"], "--threads is 0"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    data: Path, arguments: list[str], message: str
) -> None:
    done = bench("--data", data, *arguments)
    assert isinstance(done.exception, PneumoEdgeError)
    with pytest.raises(PneumoEdgeError, match=message):
        raise done.exception


def test_a_folder_without_a_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PneumoEdgeError, match="no film"):
        measure(load_bundle(), [tmp_path], "cpu", 1, lambda _: None)
