from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest

from pneumo_edge.errors import DatasetError, RecipeError
from train import pretrain
from train.checkpoint import CHECKPOINT
from train.members import build_base, build_member
from train.pretrain import Pretrained, PretrainJob, pretrain_member, pretraining_digest
from train.recipe import Cosine, MemberRecipe, Pretraining, Recipe
from train.run import Run
from train.unlabelled import Films, read_unlabelled
from train.watch import Progress
from train.weights import fill

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAME = "vgg16"


def small(tiny: Recipe, epochs: int = 2, **changes: Any) -> Recipe:
    values = {
        "learning_rate": 1e-3,
        "epochs": epochs,
        "frozen_layers": 0,
        "schedule": Cosine(warmup_steps=0),
    }
    part = Pretraining(
        batch_size=2,
        images_per_epoch=4,
        monitor_images=2,
        weight_decay=1e-4,
        members={NAME: MemberRecipe(**values | changes)},  # type: ignore[arg-type]
    )
    return msgspec.structs.replace(tiny, pretraining=part)


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a teacher of random weights."""
    folder = tmp_path_factory.mktemp("init")
    keras.utils.set_random_seed(3)
    build_base("resnet50", None, "v1.5").save_weights(folder / "resnet50_drawn.weights.h5")
    return folder


@pytest.fixture(scope="module")
def films(data: Path) -> Films:
    return read_unlabelled([data / "train/NORMAL", data / "train/PNEUMONIA"])


@pytest.fixture(scope="module", autouse=True)
def few_statistics() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "STATISTICS_IMAGES", 4)
        yield


def run(out: Path, films: Films, recipe: Recipe, init: Path) -> tuple[Pretrained, list[Progress]]:
    steps: list[Progress] = []
    job = PretrainJob(NAME, str(init))
    return pretrain_member(out, films, recipe, job, steps.append), steps


@pytest.mark.slow
def test_a_pretraining_goes_on_after_a_kill_and_its_weights_fill_a_member(
    films: Films, tiny: Recipe, init: Path, tmp_path: Path
) -> None:
    recipe = small(tiny)
    whole, steps = run(tmp_path / "whole", films, recipe, init)
    assert [(s.epoch, s.batch) for s in steps] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert whole.epochs[-1].learning_rate < whole.epochs[0].learning_rate <= 1e-3

    class KilledError(Exception):
        pass

    def report(at: Progress) -> None:
        if at.epoch == 2:
            raise KilledError

    job = PretrainJob(NAME, str(init))
    with pytest.raises(KilledError):
        pretrain_member(tmp_path / "broken", films, recipe, job, report)
    assert not (tmp_path / f"broken/{NAME}.weights.h5").exists()
    history, rest = run(tmp_path / "broken", films, recipe, init)
    assert [(s.epoch, s.batch) for s in rest] == [(2, 1), (2, 2)]
    assert history.epochs[0].loss == pytest.approx(whole.epochs[0].loss, rel=1e-4)
    assert history.epochs[1].loss == pytest.approx(whole.epochs[1].loss, rel=1e-3)
    assert history.epochs[1].explained == pytest.approx(whole.epochs[1].explained, abs=2e-3)
    again, none = run(tmp_path / "broken", films, recipe, init)
    assert (again, none) == (history, [])
    assert Run(tmp_path / "broken").read(f"{NAME}/history.json", Pretrained) == history

    model = build_member(NAME)
    told = str(fill(model.get_layer(NAME), NAME, str(tmp_path / "broken")))
    assert told.startswith(f"{NAME}.weights.h5: whole base, pre-trained on 32 unlabelled films")
    assert "(8 views)" in told
    assert "resnet50_drawn.weights.h5" in told
    trained = keras.models.load_model(tmp_path / "broken" / NAME / CHECKPOINT)
    for one, other in zip(
        model.get_layer(NAME).get_weights(), trained.get_layer("student").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)

    other = msgspec.structs.replace(recipe, seed=recipe.seed + 1)
    with pytest.raises(RecipeError, match="by another recipe or on other films"):
        run(tmp_path / "broken", films, other, init)
    _, fewer = films.split(8, 1)
    with pytest.raises(RecipeError, match="by another recipe or on other films"):
        run(tmp_path / "broken", fewer, recipe, init)


def test_layers_that_nothing_fills_are_not_frozen(
    films: Films, tiny: Recipe, init: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"11 layers of vgg16.*fills block1_conv1.*frozen_layers"):
        run(tmp_path, films, small(tiny, frozen_layers=11), init)
    (tmp_path / "none").mkdir()
    with pytest.raises(RecipeError, match="no weights of the teacher, resnet50"):
        run(tmp_path, films, small(tiny), tmp_path / "none")
    few, _ = films.split(16, 1)
    part = small(tiny).pretraining
    assert part is not None
    pretraining = msgspec.structs.replace(part, monitor_images=9)
    with pytest.raises(DatasetError, match="unlabelled films, of which 9 are to be held out"):
        run(tmp_path, few, msgspec.structs.replace(tiny, pretraining=pretraining), init)


def test_the_digest_follows_what_shapes_the_pretraining_alone(tiny: Recipe) -> None:
    recipe = small(tiny)
    digest = pretraining_digest(recipe, NAME)
    assert pretraining_digest(msgspec.structs.replace(recipe, dropout=0.1), NAME) == digest
    assert pretraining_digest(small(tiny, epochs=3), NAME) != digest
    changed: Callable[..., Recipe] = msgspec.structs.replace
    assert pretraining_digest(changed(recipe, seed=1), NAME) != digest
