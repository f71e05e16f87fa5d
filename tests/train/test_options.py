from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pneumo_edge.errors import PneumoEdgeError, RecipeError
from train.options import (
    PretrainOptions,
    TrainingOptions,
    choose,
    plan,
    plan_pretraining,
    pretraining_of,
)
from train.recipe import Recipe, load_recipe


def options(data: Path, /, **changes: Any) -> TrainingOptions:
    plain = TrainingOptions(Path("run"), data, "best", (), (), "none", "float32", None, None)
    return replace(plain, **changes)


def test_folds_come_first_and_the_model_for_shipping_last(tiny: Recipe, tmp_path: Path) -> None:
    two = msgspec.structs.replace(
        tiny, members=dict.fromkeys(("vgg16", "cnn"), tiny.members["cnn"])
    )
    everything = choose(two, options(tmp_path))
    assert everything == tuple((m, f) for f in ("0", "1", "all") for m in ("vgg16", "cnn"))
    some = choose(two, options(tmp_path, members=("cnn",), folds=("all", "0")))
    assert some == (("cnn", "all"), ("cnn", "0"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": ("vgg17",)}, r"recipe best has no member 'vgg17'.*vgg16"),
        ({"folds": ("99",)}, r"there is no fold '99'.*0, 1, 2.*, all"),
        ({"recipe": "worst"}, r"no recipe 'worst'"),
        ({"precision": "float16"}, r"no precision 'float16'"),
        ({"init": "gone.npz"}, r"no weights file gone\.npz"),
        ({"distribute": "many"}, r"cannot distribute over 'many'.*auto, none, or a number"),
        ({"distribute": "0"}, r"cannot distribute over '0'"),
        ({"data": Path("nowhere")}, "nowhere is not a folder"),
        ({"patient": "("}, r"patient pattern '\('"),
    ],
)
def test_a_wrong_option_of_a_fit_is_named(
    changes: dict[str, Any], message: str, data: Path
) -> None:
    with pytest.raises(PneumoEdgeError, match=message):
        plan(options(data, **changes))


def test_a_plan_has_the_recipe_the_films_and_the_pairs(data: Path) -> None:
    asked = plan(options(data, members=("vgg16",), folds=("all",)))
    assert asked.recipe == load_recipe("best")
    assert len(asked.films) == 32
    assert asked.pairs == (("vgg16", "all"),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": ("cnn",)}, r"recipe best does not pre-train 'cnn'.*vgg19"),
        ({"recipe": "paper"}, r"recipe paper has no pretraining"),
        ({"precision": "half"}, r"no precision 'half'"),
        ({"distribute": "-1"}, r"cannot distribute over '-1'"),
        ({"init": "nowhere"}, r"nowhere is no folder of initial weights"),
        ({"films": (Path("nowhere"),)}, "nowhere is not a folder"),
    ],
)
def test_a_wrong_option_of_a_pretraining_is_named(
    changes: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    films = (data / "train",)
    plain = PretrainOptions(films, tmp_path / "out", "best", (), str(tmp_path), "float32")
    asked = plan_pretraining(plain)
    part = load_recipe("best").pretraining
    assert part is not None
    assert asked.members == tuple(part.members)
    assert asked.folders == films
    with pytest.raises(PneumoEdgeError, match=message):
        plan_pretraining(replace(plain, **changes))
    assert not list(tmp_path.iterdir())


def test_a_recipe_says_whom_it_pre_trains(tiny: Recipe) -> None:
    with pytest.raises(RecipeError, match="recipe tiny has no pretraining"):
        pretraining_of(msgspec.structs.replace(tiny, pretraining=None), ())
