from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import MEMBER_NAMES
from train.recipe import load_recipe
from train.record import training_record
from train.run import Epoch, Fusion, History, Run, Split


def finished(folder: Path) -> Run:
    run = Run(folder)
    run.write("recipe.json", load_recipe("paper"))
    run.write(
        "split.json",
        Split(
            data="mine",
            films=5,
            patients=4,
            patient_pattern="",
            seed=1,
            folds=[["normal/a.png", "pneumonia/b.png"], ["pneumonia/c.png", "normal/d/e.png", "pneumonia/f.png"]],
            source="Our own, CC0.",
        ),
    )  # fmt: skip
    run.write(
        "fusion.json",
        Fusion(weights={}, bias=0, operating_points={}, films=2, folds=["0"], out_of_fold=[]),
    )
    for number, name in enumerate(MEMBER_NAMES):
        for fold in ("0", "all"):
            epochs = [
                Epoch(
                    epoch=n + 1,
                    learning_rate=1e-5,
                    loss=0.5,
                    accuracy=0.8,
                    val_loss=0.5,
                    val_accuracy=0.8,
                    val_auc=0.9,
                    seconds=90.0,
                )
                for n in range(number + 1 + 10 * (fold == "0"))
            ]
            run.write(
                f"{name}/fold-{fold}/history.json",
                History(member=name, recipe="", init="imagenet", fold=fold, epochs=epochs),
            )
            (run.member(name, fold) / "model.keras").touch()
    return run


def test_the_record_tells_what_the_shipped_models_were_made_of(tmp_path: Path) -> None:
    record = training_record(finished(tmp_path))
    paper = load_recipe("paper")
    assert record["data"] == {
        "name": "mine",
        "source": "Our own, CC0.",
        "films": 5,
        "patients": 4,
        "normal": 2,
        "pneumonia": 3,
        "folds": 2,
    }
    told = {"name": "paper", "digest": paper.digest, "seed": paper.seed, "remark": paper.remark}
    assert record["recipe"] == told
    assert record["fusion"] == {"films": 2, "folds": ["0"], "stressed": False}
    assert list(record["members"]) == list(MEMBER_NAMES)
    for number, name in enumerate(MEMBER_NAMES):
        member = record["members"][name]
        assert member["trained_without_fold"] == "all"  # that model ships, not fold 0's
        assert member["epochs"] == number + 1
        assert member["minutes"] == round(1.5 * (number + 1), 1)
        assert member["frozen_layers"] == paper.members[name].frozen_layers
    assert msgspec.json.decode(msgspec.json.encode(record)) == record  # fits a manifest


def test_the_record_holds_no_path_of_the_machine(tmp_path: Path) -> None:
    text = msgspec.json.encode(training_record(finished(tmp_path))).decode()
    assert str(tmp_path) not in text


def test_an_unfinished_run_has_no_record(tmp_path: Path) -> None:
    run = finished(tmp_path)
    (tmp_path / "fusion.json").unlink()
    with pytest.raises(RecipeError, match=r"has no fusion\.json"):
        training_record(run)
