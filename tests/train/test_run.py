from __future__ import annotations

import resource
from pathlib import Path

import pytest

from pneumo_edge.errors import RecipeError
from train.recipe import Recipe
from train.run import Epoch, History, Predictions, Run, Split, whole

HISTORY = History(
    member="cnn",
    recipe="0" * 64,
    init="none",
    fold="0",
    epochs=[
        Epoch(
            epoch=1,
            learning_rate=1e-5,
            loss=0.7,
            accuracy=0.5,
            val_loss=0.69,
            val_accuracy=0.5,
            val_auc=0.6,
            seconds=1.5,
        )
    ],
)


def test_what_is_written_is_read_back(tmp_path: Path, tiny: Recipe) -> None:
    run = Run(tmp_path / "run")
    split = Split(
        data="kermany", films=2, patients=2, patient_pattern="", seed=1, folds=[["a"], ["b"]]
    )
    run.write("recipe.json", tiny)
    run.write("split.json", split)
    path = run.write("cnn/fold-0/history.json", HISTORY)
    assert path == tmp_path / "run/cnn/fold-0/history.json"
    assert run.recipe() == tiny
    assert run.split() == split
    assert run.read("cnn/fold-0/history.json", History) == HISTORY


def test_a_split_of_before_it_told_its_source_is_read(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(
        '{"data":"d","films":1,"patients":1,"patient_pattern":"","seed":1,"folds":[["a"]]}'
    )
    assert Run(tmp_path).split().source == ""


def test_folds_are_listed_by_number_and_all_is_last(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for fold in ("10", "2", "all"):
        run.member("vgg16", fold).mkdir(parents=True)
        (run.member("vgg16", fold) / "model.keras").touch()
    run.member("vgg16", "1").mkdir()  # begun
    assert run.folds_of("vgg16") == ["2", "10", "all"]
    assert run.model_path("vgg16").parent.name == "fold-all"
    (run.member("vgg16", "all") / "model.keras").unlink()
    assert run.model_path("vgg16").parent.name == "fold-2"


def test_an_untrained_member_is_named_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no trained vgg19.*train fit --member vgg19"):
        Run(tmp_path).model_path("vgg19")


def test_a_missing_and_a_damaged_file_are_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with pytest.raises(RecipeError, match=r"has no recipe\.json.*train fit"):
        run.recipe()
    for content in ("{", '{"films": 1}', "[]"):
        (tmp_path / "p.json").write_text(content)
        with pytest.raises(RecipeError, match=r"p\.json"):
            run.read("p.json", Predictions)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write("p.json", [1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(RecipeError, match=r"p\.json cannot be written: File too large"):
            run.write("p.json", list(range(1000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run.read("p.json", list[int]) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]


def test_a_run_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        RecipeError, match=r"p\.json cannot be written: (Not a directory|File exists)"
    ):
        Run(tmp_path / "file").write("p.json", 1)


def test_an_interrupted_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write_half() -> None:
        with whole(path) as partial:
            partial.write_text("hal")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "before"
