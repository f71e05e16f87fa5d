from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from pneumo_edge.cli import app
from pneumo_edge.decode import decode_file
from pneumo_edge.errors import DatasetError, PneumoEdgeError
from pneumo_edge.measure import SAMPLES
from pneumo_edge.types import Label
from train import appearance
from train.novelty import RealFilms
from train.samples import LABELS, Settings, command, make_samples, surest, write_samples

SETTINGS = Settings(films=24, components=6, side=160)


def blob(rng: np.random.Generator, label: int) -> NDArray[np.uint8]:
    """A film of one bright disc; on the left for normal, on the right for pneumonia."""
    film = np.full((224, 224), 40, np.uint8)
    centre = (60 + 100 * label + int(rng.integers(-20, 20)), 112 + int(rng.integers(-40, 40)))
    cv2.circle(film, centre, int(rng.integers(20, 50)), int(rng.integers(120, 220)), -1)
    return film


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(1)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        folder = root / "train" / name
        folder.mkdir(parents=True)
        for number in range(24):
            stem = f"person{number}_virus_1" if label else f"IM-{number:04}-0001"
            assert cv2.imwrite(str(folder / f"{stem}.png"), blob(rng, label))
    return root


def test_the_same_seed_draws_the_same_films_and_another_seed_draws_others(data: Path) -> None:
    one, again = make_samples(data, SETTINGS), make_samples(data, SETTINGS)
    other = make_samples(data, Settings(films=24, components=6, side=160, seed=3))
    for k in (0, 1):
        np.testing.assert_array_equal(one[k].pixels, again[k].pixels)
        assert (one[k].pixels != other[k].pixels).any()


def test_a_sample_is_brighter_where_its_class_is(data: Path) -> None:
    normal, pneumonia = make_samples(data, SETTINGS)
    assert normal.pixels[:, :80].mean() > normal.pixels[:, 80:].mean()
    assert pneumonia.pixels[:, :80].mean() < pneumonia.pixels[:, 80:].mean()


def test_the_chooser_is_shown_every_candidate_and_obeyed(data: Path) -> None:
    seen: dict[Label, list[NDArray[np.uint8]]] = {}

    def last(label: Label, candidates: object) -> int:
        assert isinstance(candidates, list)
        seen[label] = candidates
        return 2

    samples = make_samples(data, Settings(films=24, components=6, side=160, candidates=3), last)
    assert [len(seen["normal"]), len(seen["pneumonia"])] == [3, 3]
    for sample in samples:
        np.testing.assert_array_equal(sample.pixels, seen[sample.label][2])


def test_the_ensemble_keeps_the_candidate_that_it_is_surest_of(
    shipped_bundle: Path, tmp_path: Path
) -> None:
    normal, pneumonia = (
        decode_file(SAMPLES / f"{label}.png").pixels.astype(np.uint8) for label in LABELS
    )
    noise = np.random.default_rng(5).integers(0, 256, normal.shape, np.uint8)  # the gate refuses it
    mixed = np.asarray(cv2.addWeighted(normal, 0.6, pneumonia, 0.4, 0), np.uint8)
    candidates = [noise, mixed, pneumonia, normal]
    for number, film in enumerate(candidates):
        cv2.imwrite(str(tmp_path / f"{number}.png"), film)
    result = CliRunner().invoke(app, ["infer", str(tmp_path), "--jsonl"])
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert told[0]["error"]

    def rank(k: int, side: int) -> tuple[bool, float]:
        return told[k]["gate"]["verdict"] == "accept", side * told[k]["y"]

    pick = surest(shipped_bundle)
    assert pick("pneumonia", candidates) == max((1, 2, 3), key=lambda k: rank(k, 1))
    assert pick("normal", candidates) == max((1, 2, 3), key=lambda k: rank(k, -1))
    with pytest.raises(PneumoEdgeError, match="the gate refuses all 1 candidates of normal"):
        pick("normal", [noise])


def test_a_sample_has_the_mean_and_the_spread_of_its_class(data: Path) -> None:
    films = appearance.read_grey(sorted((data / "train" / "NORMAL").iterdir()))
    model = appearance.fit(films, 23, seed=0)
    rng = np.random.default_rng(0)
    drawn = np.stack([appearance.draw(model, 1.0, rng).ravel() for _ in range(400)])
    # 400 draws of a Gaussian: the error of the mean is a twentieth of the deviation, so 0.3 is six of those.
    deviation = films.std(axis=0, ddof=1)
    assert np.abs(drawn.mean(axis=0) - films.mean(axis=0)).max() < 0.3 * deviation.max()
    assert np.linalg.norm(drawn.std(axis=0)) == pytest.approx(np.linalg.norm(deviation), rel=0.1)
    assert model.explained == pytest.approx(1.0, abs=1e-4)


def test_no_shrink_is_the_mean_film(data: Path) -> None:
    films = appearance.read_grey(sorted((data / "train" / "NORMAL").iterdir()))
    mean = appearance.draw(appearance.fit(films, 5, seed=0), 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(mean.ravel(), films.mean(axis=0), atol=1e-2)


def test_a_copy_of_a_real_film_is_found_out_and_a_stranger_is_not(data: Path) -> None:
    paths = sorted((data / "train" / "NORMAL").iterdir())
    films = appearance.read_grey(paths)
    real = RealFilms(films, [path.name for path in paths])
    copy = appearance.develop(films[7].reshape(224, 224), 512, np.random.default_rng(0))
    stranger = np.indices((512, 512)).sum(axis=0).astype(np.float32)
    assert real.novelty(copy).nearest > 0.99
    assert not real.novelty(copy).is_nobodys
    assert real.novelty(stranger).is_nobodys


def test_a_sample_that_is_somebodys_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    ramp = np.tile(np.linspace(0, 200, 224), (224, 1))
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        for number in range(20):  # all normal films are one patient's, and alike
            film = blob(rng, label) if label else ramp + rng.integers(0, 3, (224, 224))
            stem = f"person{number}_virus_1" if label else f"IM-0001-{number:04}"
            cv2.imwrite(str(folder / f"{stem}.png"), film.astype(np.uint8))
    with pytest.raises(PneumoEdgeError, match=r"the normal sample has likeness 1\.00"):
        make_samples(tmp_path, Settings(films=20, components=2, shrink=0.0, side=160))


def test_too_many_components_are_refused_by_their_number(data: Path) -> None:
    with pytest.raises(DatasetError, match="120 components from 24 films"):
        make_samples(data, Settings(side=160))


@pytest.mark.parametrize("bad", [{"side": 100}, {"candidates": 0}, {"shrink": -1.0}, {"films": 1}])
def test_settings_that_cannot_draw_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(PneumoEdgeError, match=f"{next(iter(bad))}={next(iter(bad.values()))}"):
        Settings(**bad)


def test_the_files_hold_the_pixels_and_no_metadata(data: Path, tmp_path: Path) -> None:
    samples = make_samples(data, SETTINGS)
    paths = write_samples(samples, tmp_path, SETTINGS, "--seed 20")
    for sample, path in zip(samples, paths, strict=True):
        np.testing.assert_array_equal(decode_file(path).pixels, sample.pixels)
        chunks = path.read_bytes()
        assert not any(kind in chunks for kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"tIME"))
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "nobody's" in readme
    assert f"{samples[0].novelty.nearest:.2f}" in readme


def test_the_command_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    alone = typer.Typer()
    alone.command()(command)
    result = CliRunner().invoke(
        alone, ["--data", str(tmp_path / "nowhere"), "--out", str(tmp_path)]
    )
    assert isinstance(result.exception, PneumoEdgeError)
    assert "nowhere" in str(result.exception)
