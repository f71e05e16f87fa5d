from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from pneumo_edge.errors import RecipeError
from train.dataset import Dataset, training_films
from train.options import TrainingOptions, plan
from train.recipe import Recipe
from train.run import History, Run
from train.session import keep_split, read_films, train_members

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def options(data: Path, run: Path, /, recipe: str = "best", **changes: Any) -> TrainingOptions:
    plain = TrainingOptions(run, data, recipe, (), (), "none", "float32", None, None)
    return replace(plain, **changes)


def train(asked: TrainingOptions) -> list[History]:
    return train_members(asked, plan(asked))


@pytest.fixture
def mine(tiny: Recipe, tmp_path: Path) -> str:
    """The tiny recipe as a user's file, one epoch long."""
    member = msgspec.structs.replace(tiny.members["cnn"], epochs=1)
    recipe = msgspec.structs.replace(tiny, members={"cnn": member})
    (tmp_path / "mine.json").write_bytes(msgspec.json.encode(recipe))
    return str(tmp_path / "mine.json")


def test_a_session_trains_tells_and_resumes(
    data: Path, mine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options(data, tmp_path / "run", recipe=mine, folds=("0",), source="Drawn, CC0.")
    (history,) = train(asked)
    told = " ".join(capsys.readouterr().err.split())
    assert "32 films of 16 patients: 16 normal, 16 pneumonia; 0 skipped" in told
    assert "folds by patient (normal + pneumonia held out): 8 + 8, 8 + 8" in told
    assert "cnn, fold 0: epoch 1/1, loss" in told
    assert "on held-out films (init none)" in told
    assert "on the same films under stress" in told
    run = Run(tmp_path / "run")
    assert run.folds_of("cnn") == ["0"]
    assert (run.member("cnn", "0") / "curves.png").stat().st_size > 1000
    assert run.split().source == "Drawn, CC0."
    assert str(tmp_path) not in (run.folder / "split.json").read_text()
    assert train(options(data, run.folder, recipe=mine, folds=("0",))) == [history]
    assert run.split().source == "Drawn, CC0."  # kept where it is not told again

    # One run, one recipe: what the run says of itself must not be overwritten.
    before = (run.folder / "recipe.json").read_bytes()
    slower = msgspec.json.decode(Path(mine).read_bytes(), type=Recipe)
    slower = msgspec.structs.replace(slower, label_smoothing=0.1)
    (tmp_path / "other.json").write_bytes(msgspec.json.encode(slower))
    with pytest.raises(RecipeError, match="holds a cnn of another recipe"):
        train(options(data, run.folder, recipe=str(tmp_path / "other.json"), folds=("1",)))
    assert (run.folder / "recipe.json").read_bytes() == before


def test_a_run_keeps_to_the_films_that_it_was_started_on(
    data: Path, dataset: Dataset, tiny: Recipe, tmp_path: Path
) -> None:
    run, asked = Run(tmp_path), options(data, tmp_path)
    split = keep_split(run, dataset, tiny, asked)
    assert keep_split(run, dataset, tiny, asked) == split
    assert sorted(film for fold in split.folds for film in fold) == sorted(
        film.id for film in dataset.films
    )
    assert (split.films, split.patients, split.data) == (32, 16, data.name)
    for other, recipe in (
        (dataset.subset(range(1, 32)), tiny),
        (dataset, msgspec.structs.replace(tiny, seed=21)),
        (dataset, msgspec.structs.replace(tiny, folds=3)),
        (dataset, msgspec.structs.replace(tiny, validation="number")),
    ):
        with pytest.raises(RecipeError, match="started on another data set"):
            keep_split(run, other, recipe, asked)


def test_what_was_read_is_told(make_films: Callable[..., Path], tmp_path: Path) -> None:
    make_films(tmp_path, 20, 1, seed=3)
    (tmp_path / "NORMAL/IM-0003-0000.png").write_bytes(b"")
    (tmp_path / "NORMAL/IM-0004-0000.png").rename(tmp_path / "NORMAL/[scan].png")
    told = io.StringIO()
    dataset = read_films(training_films(tmp_path), Console(file=told, width=200))
    assert len(dataset) == 39
    assert "skipped" in told.getvalue()
    assert "IM-0003-0000.png" in told.getvalue()
    assert "1 of 39 file names tell no patient" in told.getvalue()
    assert "39 films of 39 patients: 19 normal, 20 pneumonia; 1 skipped" in told.getvalue()
