from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from pneumo_edge.errors import PneumoEdgeError, RecipeError
from train.dataset import Dataset
from train.recipe import Recipe
from train.run import Run
from train.session import TrainingOptions, choose, keep_split, read_films, train_members

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def options(data: Path, run: Path, /, **changes: object) -> TrainingOptions:
    values: dict[str, object] = {
        "run": run,
        "data": data,
        "recipe": "best",
        "members": (),
        "folds": (),
        "init": "none",
        "precision": "float32",
        "patient": None,
        "source": None,
    }
    return TrainingOptions(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def mine(tiny: Recipe, tmp_path: Path) -> str:
    """The tiny recipe as a user's file, one epoch long."""
    member = msgspec.structs.replace(tiny.members["cnn"], epochs=1)
    recipe = msgspec.structs.replace(tiny, members={"cnn": member})
    (tmp_path / "mine.json").write_bytes(msgspec.json.encode(recipe))
    return str(tmp_path / "mine.json")


def test_folds_come_first_and_the_model_for_shipping_last(tiny: Recipe, tmp_path: Path) -> None:
    two = msgspec.structs.replace(
        tiny, members=dict.fromkeys(("vgg16", "cnn"), tiny.members["cnn"])
    )
    everything = choose(two, options(tmp_path, tmp_path))
    assert everything == [(m, f) for f in ("0", "1", "all") for m in ("vgg16", "cnn")]
    some = choose(two, options(tmp_path, tmp_path, members=("cnn",), folds=("all", "0")))
    assert some == [("cnn", "all"), ("cnn", "0")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": ("vgg17",)}, r"recipe best has no member 'vgg17'.*vgg16"),
        ({"folds": ("5",)}, r"there is no fold '5'.*0, 1, 2, 3, 4, all"),
        ({"recipe": "worst"}, r"no recipe 'worst'"),
        ({"precision": "float16"}, r"no precision 'float16'"),
        ({"data": Path("nowhere")}, "nowhere is not a folder"),
    ],
)
def test_a_wrong_option_is_named_before_a_run_is_begun(
    changes: dict[str, object], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(PneumoEdgeError, match=message):
        train_members(options(data, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_session_trains_tells_and_resumes(
    data: Path, mine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = options(data, tmp_path / "run", recipe=mine, folds=("0",), source="Drawn, CC0.")
    (history,) = train_members(asked)
    told = " ".join(capsys.readouterr().err.split())
    assert "32 films of 16 patients: 16 normal, 16 pneumonia; 0 skipped" in told
    assert "cnn, fold 0: epoch 1/1, loss" in told
    assert "on held-out films (init none)" in told
    run = Run(tmp_path / "run")
    assert run.folds_of("cnn") == ["0"]
    assert (run.member("cnn", "0") / "curves.png").stat().st_size > 1000
    assert run.split().source == "Drawn, CC0."
    assert str(tmp_path) not in (run.folder / "split.json").read_text()
    assert train_members(options(data, run.folder, recipe=mine, folds=("0",))) == [history]
    assert run.split().source == "Drawn, CC0."  # kept where it is not told again

    # One run, one recipe: what the run says of itself must not be overwritten.
    before = (run.folder / "recipe.json").read_bytes()
    slower = msgspec.json.decode(Path(mine).read_bytes(), type=Recipe)
    slower = msgspec.structs.replace(slower, label_smoothing=0.1)
    (tmp_path / "other.json").write_bytes(msgspec.json.encode(slower))
    with pytest.raises(RecipeError, match="holds a cnn of another recipe"):
        train_members(options(data, run.folder, recipe=str(tmp_path / "other.json"), folds=("1",)))
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
    ):
        with pytest.raises(RecipeError, match="started on another data set"):
            keep_split(run, other, recipe, asked)


def test_what_was_read_is_told(make_films: Callable[..., Path], tmp_path: Path) -> None:
    make_films(tmp_path, 20, 1, seed=3)
    (tmp_path / "NORMAL/IM-0003-0000.png").write_bytes(b"")
    (tmp_path / "NORMAL/IM-0004-0000.png").rename(tmp_path / "NORMAL/[scan].png")
    told = io.StringIO()
    dataset = read_films(tmp_path, None, Console(file=told, width=200))
    assert len(dataset) == 39
    assert "skipped" in told.getvalue()
    assert "IM-0003-0000.png" in told.getvalue()
    assert "1 of 39 file names tell no patient" in told.getvalue()
    assert "39 films of 39 patients: 19 normal, 20 pneumonia; 1 skipped" in told.getvalue()
