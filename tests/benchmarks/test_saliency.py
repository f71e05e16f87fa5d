from __future__ import annotations

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import saliency_page, saliency_results
from benchmarks.cli import app
from benchmarks.occlusion import ORDERS, SHARES, TENTH
from benchmarks.saliency import Traced, summarise
from benchmarks.saliency_results import Saliency
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.types import SIDE
from train.dataset import Dataset, Film


def dataset(labels: list[int]) -> Dataset:
    films = tuple(
        Film(Path(f"{i}.png"), label, f"p{i}", f"{i}.png") for i, label in enumerate(labels)
    )
    return Dataset(films, np.zeros((len(labels), SIDE, SIDE, 1), np.uint8))


def test_the_summary_counts_for_the_label_that_the_film_got() -> None:
    y = np.zeros((4, 2, len(ORDERS), len(SHARES)))
    y[:] = np.array([0.9, 0.8, 0.1, 0.2])[:, None, None, None]
    y[0, 0, 0, TENTH] = 0.5  # the hottest tenth of one film
    tenths, areas, curves = summarise(Traced(y, []), dataset([1, 0, 0, 1]), 0.5)
    assert {row.group: row.films for row in tenths} == {
        "all": 4, "true positives": 1, "false positives": 1, "true negatives": 1, "false negatives": 1,
    }  # fmt: skip
    assert tenths[0].hottest == pytest.approx(0.1)
    assert (tenths[0].random, tenths[0].centre) == (0, 0)
    assert tenths[0].difference.value == pytest.approx(0.1)
    assert tenths[0].difference.low <= 0.1 <= tenths[0].difference.high
    assert tenths[0].more_often.value == 0.25
    by_name = {(row.curve, row.order): row for row in areas}
    assert by_name["insertion", "map"].area.value == pytest.approx((0.9 + 0.8 + 0.9 + 0.8) / 4)
    assert by_name["deletion", "map"].less_random.value < 0
    assert by_name["deletion", "centre"].less_random.value == 0
    assert len(curves) == 6


@pytest.fixture
def films(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        folder = tmp_path / "films" / name
        folder.mkdir(parents=True)
        for n in range(2):
            film = rng.integers(40 + 90 * label, 120 + 90 * label, (150, 150)).astype(np.uint8)
            stem = f"person{n}_virus_1" if label else f"IM-{n:04}-0001"
            assert cv2.imwrite(str(folder / f"{stem}.png"), film)
    return tmp_path / "films"


def test_the_command_checks_the_bundle_that_ships(films: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    places = {name: tmp_path / f"out.{name}" for name in ("json", "html", "png")}
    options = [part for name, path in places.items() for part in (f"--{name}", str(path))]
    text = tmp_path / "page.md"
    text.write_text("above\n<!-- begin bench saliency -->\n<!-- end bench saliency -->\nbelow\n")
    done = CliRunner().invoke(
        app, ["saliency", "--data", str(films), "--page", str(text), *options]
    )
    assert done.exit_code == 0, done.output
    assert "| deletion | map |" in text.read_text()
    found = msgspec.convert(json.loads(done.output.splitlines()[-1]), Saliency)
    assert found == msgspec.json.decode(places["json"].read_bytes(), type=Saliency)
    assert (found.films, [row.shuffled for row in found.randomised]) == (
        4,
        ["none, another film", "output", "head"],
    )
    assert all(-1 <= row.spearman <= 1 and row.spearman < 0.95 for row in found.randomised)
    assert {len(row.v) for row in found.curves} == {len(SHARES)}
    page = places["html"].read_text()
    assert "Deletion and insertion" in page
    assert "Shuffled weights" in page
    picture = cv2.imread(str(places["png"]))
    assert picture is not None
    assert picture.shape[1] > 1000
    assert len(list(saliency_results.lines(found))) > 15
    assert saliency_page.render(found) == page


def test_films_of_one_class_are_refused(films: Path) -> None:
    for film in (films / "NORMAL").iterdir():
        film.unlink()
    done = CliRunner().invoke(app, ["saliency", "--data", str(films)])
    assert isinstance(done.exception, PneumoEdgeError)
