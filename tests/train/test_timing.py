from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pneumo_edge.errors import RecipeError
from train.batches import Batches
from train.checkpoint import training_digest
from train.dataset import Dataset
from train.fit import split_fold
from train.folds import patient_folds
from train.recipe import Recipe
from train.run import ALL, Epoch, History, Run, Split
from train.timing import histories, images_per_epoch, of_other_recipe, training_times


def split_of(dataset: Dataset, count: int) -> Split:
    parts = patient_folds(dataset.films, count, 1)
    ids = [[dataset.films[i].id for i in part] for part in parts]
    return Split(data="any", films=len(dataset), patients=16, patient_pattern="", seed=1, folds=ids)


def told(member: str, fold: str, seconds: list[float], recipe: str = "") -> History:
    epochs = [
        Epoch(
            epoch=k + 1,
            learning_rate=1e-4,
            loss=0.5,
            accuracy=0.8,
            val_loss=0.5,
            val_accuracy=0.8,
            val_auc=0.9,
            seconds=value,
        )
        for k, value in enumerate(seconds)
    ]
    return History(member=member, recipe=recipe, init="none", fold=fold, epochs=epochs)


@pytest.mark.parametrize("sampling", ["all", "balanced"])
@pytest.mark.parametrize("count", [None, 10])
@pytest.mark.parametrize("fold", ["0", "1", ALL])
@pytest.mark.parametrize("batch_size", [3, 4, 1000])
def test_an_epoch_has_the_images_that_its_batches_have(
    sampling: str, count: int | None, fold: str, batch_size: int, dataset: Dataset, tiny: Recipe
) -> None:
    split = split_of(dataset, 3)
    recipe = msgspec.structs.replace(
        tiny, sampling=sampling, images_per_epoch=count, batch_size=batch_size
    )
    seen = dataset if fold == ALL else split_fold(dataset, split.folds[int(fold)])[0]
    batches = Batches(seen, recipe)
    drawn = sum(len(batches[k][1]) for k in range(len(batches)))
    assert images_per_epoch(recipe, split, fold) == drawn


def test_time_is_set_against_the_baseline_in_all_and_by_the_image(
    dataset: Dataset, tiny: Recipe
) -> None:
    split = split_of(dataset, 2)
    runs = {"vgg16": told("vgg16", "0", [30.0, 500.0, 34.0]), "cnn": told("cnn", "0", [8.0] * 10)}
    member, baseline = training_times(runs, tiny, split, [])
    assert (member.member, member.epochs, member.images_seen) == ("vgg16", 3, 48)
    assert member.minutes == pytest.approx(9.4)
    assert member.seconds_per_1000_images == pytest.approx(34 / 16 * 1000)
    assert member.time_to_baseline == pytest.approx(564 / 80)
    assert member.image_time_to_baseline == pytest.approx(34 / 8)
    assert baseline.time_to_baseline == 1
    (alone,) = training_times({"vgg16": runs["vgg16"]}, tiny, split, [])
    assert alone.time_to_baseline is None
    assert alone.image_time_to_baseline is None
    stranger, _ = training_times(runs, tiny, split, ["vgg16"])
    assert stranger.time_to_baseline == member.time_to_baseline
    by_image = (stranger.images_seen, stranger.seconds_per_1000_images)
    assert (*by_image, stranger.image_time_to_baseline) == (None, None, None)


def test_a_member_of_another_recipe_is_found(tiny: Recipe) -> None:
    right = told("cnn", "0", [1.0], training_digest(tiny, "cnn"))
    wrong = told("cnn", "0", [1.0], "feed")
    assert of_other_recipe({"cnn": right}, tiny) == []
    assert of_other_recipe({"cnn": wrong}, tiny) == ["cnn"]
    assert of_other_recipe({"vgg16": told("vgg16", "0", [1.0])}, tiny) == ["vgg16"]


def test_the_history_is_that_of_the_model_that_ships(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for fold, seconds in (("0", [1.0]), (ALL, [2.0])):
        run.write(f"vgg16/fold-{fold}/history.json", told("vgg16", fold, seconds))
        (run.member("vgg16", fold) / "model.keras").touch()
    found = histories(run, ("vgg16", "cnn"))
    assert list(found) == ["vgg16"]
    assert found["vgg16"].fold == ALL
    run.write(f"vgg16/fold-{ALL}/history.json", told("vgg19", ALL, [2.0]))
    with pytest.raises(RecipeError, match=r"history\.json is of vgg19, fold all, 1 epochs"):
        histories(run, ("vgg16",))
