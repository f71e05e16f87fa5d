from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

from pneumo_edge.errors import RecipeError
from train.checkpoint import (
    CHECKPOINT,
    HISTORY,
    known_history,
    load_checkpoint,
    save_model,
    training_digest,
)
from train.fit import compile_member
from train.members import base_of, freeze
from train.recipe import Constant, Cosine, Recipe, load_recipe
from train.run import History, Run

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def model() -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def history(recipe: Recipe, fold: str = "0") -> History:
    digest = training_digest(recipe, "cnn")
    return History(member="cnn", recipe=digest, init="none", fold=fold, epochs=[])


def test_averages_optimizer_and_frozen_layers_survive_a_checkpoint(
    big: Callable[[str], Any], tmp_path: Path
) -> None:
    model, recipe = big("vgg16"), load_recipe("best")
    freeze(model, "vgg16", 16)
    compile_member(model, recipe, recipe.members["vgg16"])
    model.optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(3)
    for variable in model.optimizer.variables:
        if "iteration" not in variable.path and "learning_rate" not in variable.path:
            variable.assign(rng.random(variable.shape, np.float32))
    save_model(model, tmp_path / CHECKPOINT)
    loaded = load_checkpoint(tmp_path / CHECKPOINT)
    # The first of the 16 is the input layer, which has nothing to train and keeps no flag.
    flags = [layer.trainable for layer in base_of(loaded, "vgg16").layers[1:]]
    assert flags == [False] * 15 + [True] * 3
    ours, theirs = loaded.optimizer.variables, model.optimizer.variables
    assert [v.path for v in ours] == [v.path for v in theirs]
    assert sum(v.path.endswith("_average") for v in ours) == len(model.trainable_variables)
    for got, want in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(got, want)
    freeze(model, "vgg16", 0)


def test_a_checkpoint_is_a_model_that_keras_loads_and_a_history(
    model: Any, tiny: Recipe, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    folder = run.member("cnn", "0")
    assert known_history(folder, run, tiny, "cnn") is None
    save_model(model, folder / CHECKPOINT, history(tiny))
    assert known_history(folder, run, tiny, "cnn") == history(tiny)
    for got, want in zip(
        load_checkpoint(folder / CHECKPOINT).get_weights(), model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(got, want)


def test_a_checkpoint_without_a_history_goes_by_the_one_beside_it(
    model: Any, tiny: Recipe, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    folder = run.member("cnn", "0")
    save_model(model, folder / CHECKPOINT)
    assert known_history(folder, run, tiny, "cnn") is None
    run.write(f"cnn/fold-0/{HISTORY}", history(tiny))
    assert known_history(folder, run, tiny, "cnn") == history(tiny)


def test_the_digest_follows_what_shapes_a_training_and_not_its_length() -> None:
    best = load_recipe("best")
    best = msgspec.structs.replace(
        best,
        members={
            **best.members,
            "vgg16": msgspec.structs.replace(
                best.members["vgg16"], schedule=Constant(warmup_steps=0)
            ),
        },
    )
    digest = training_digest(best, "vgg16")

    def changed(name: str, **values: Any) -> str:
        member = msgspec.structs.replace(best.members[name], **values)
        members = {**best.members, name: member}
        return training_digest(msgspec.structs.replace(best, members=members), "vgg16")

    assert changed("vgg16", epochs=99) == digest
    assert changed("vgg19", learning_rate=1.0) == digest
    assert training_digest(msgspec.structs.replace(best, pretraining=None), "vgg16") == digest
    both = not best.fuse_stressed
    assert training_digest(msgspec.structs.replace(best, fuse_stressed=both), "vgg16") == digest
    # A rate that falls towards the last epoch would have to fall anew.
    falling = Cosine(warmup_steps=0)
    assert changed("vgg16", schedule=falling) != changed("vgg16", schedule=falling, epochs=99)
    assert changed("vgg16", learning_rate=1.0) != digest
    assert changed("vgg16", frozen_layers=0) != digest
    assert training_digest(msgspec.structs.replace(best, seed=1), "vgg16") != digest
    assert training_digest(best, "vgg19") != digest


def test_a_file_that_is_no_checkpoint_is_named(tiny: Recipe, tmp_path: Path) -> None:
    run = Run(tmp_path)
    folder = run.member("cnn", "0")
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).write_text("no archive")
    with pytest.raises(RecipeError, match=r"checkpoint\.keras cannot be read.*remove it"):
        known_history(folder, run, tiny, "cnn")
    with pytest.raises(RecipeError, match=r"checkpoint\.keras cannot be read"):
        load_checkpoint(folder / CHECKPOINT)


def test_a_checkpoint_of_another_architecture_is_refused(
    model: Any, tiny: Recipe, tmp_path: Path
) -> None:
    run = Run(tmp_path)
    folder = run.member("cnn", "0")
    stranger = msgspec.structs.replace(history(tiny), member="vgg16")
    save_model(model, folder / CHECKPOINT, stranger)
    with pytest.raises(RecipeError, match="fold-0 holds a vgg16 of another recipe"):
        known_history(folder, run, tiny, "cnn")
