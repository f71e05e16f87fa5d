from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import MEMBER_NAMES
from train.recipe import Augmentation, MemberBudget, ParityBudget, Plateau, load_recipe, names

# Table 2 of the paper: rate, epochs, frozen layers, floor of the rate, factor; then its text on the CNN.
TABLE_2 = {
    "vgg16": (1e-5, 24, 16, 1e-9, 0.8),
    "vgg19": (1e-5, 16, 12, 1e-9, 0.8),
    "resnet50": (3e-5, 24, 32, 1e-11, 0.8),
    "xception": (1e-5, 24, 32, 1e-11, 0.8),
    "cnn": (1e-5, 24, 0, 1e-9, 0.6),
}


def test_the_paper_recipe_is_the_papers_table() -> None:
    recipe = load_recipe("paper")
    got = {}
    for name, member in recipe.members.items():
        schedule = member.schedule
        assert isinstance(schedule, Plateau)
        got[name] = (
            member.learning_rate,
            member.epochs,
            member.frozen_layers,
            schedule.floor,
            schedule.factor,
        )
    assert got == TABLE_2
    assert recipe.augmentation == Augmentation(
        rotation_degrees=20, shift=0.1, shear=0.1, zoom=0.1, horizontal_flip=True
    )
    assert recipe.class_weights == "paper"
    assert recipe.sampling == "all"
    # What the paper has not: averaging, smoothing, weight decay, another ResNet.
    assert (recipe.ema_momentum, recipe.label_smoothing, recipe.weight_decay) == (None, 0, 0)
    assert {member.strides for member in recipe.members.values()} == {"v1"}


@pytest.mark.parametrize("name", names())
def test_every_recipe_that_comes_along_loads_and_has_the_four_members(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert {"vgg16", "vgg19", "resnet50", "xception"} <= set(recipe.members)


def test_paper_and_best_come_along() -> None:
    assert {"paper", "best"} <= set(names())


def written(path: Path, place: str, value: Any) -> str:
    """`paper` with one value changed, as a file."""
    document = msgspec.to_builtins(load_recipe("paper"))
    *parents, last = place.split(".")
    inside = document
    for key in parents:
        inside = inside[key]
    inside[last] = value
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("batch_size", 0, "`int` >= 1 - at `$.batch_size`"),
        ("batch_size", "32", "Expected `int`, got `str` - at `$.batch_size`"),
        ("members.vgg16.learning_rate", -1e-5, "`float` > 0.0 - at `$.members[...].learning_rate`"),
        ("members.vgg16.schedule.kind", "linear", "'linear' - at `$.members[...].schedule.kind`"),
        ("members.vgg16.schedule.factor", 1.5, "< 1.0 - at `$.members[...].schedule.factor`"),
        ("members.vgg16.speed", 1, "unknown field `speed` - at `$.members[...]`"),
        (
            "members.alexnet",
            msgspec.to_builtins(load_recipe("paper").members["cnn"]),
            "['alexnet']",
        ),
        ("augmentation.zoom", 1.5, "<= 1.0 - at `$.augmentation.zoom`"),
        ("ema_momentum", 1.0, "- at `$.ema_momentum`"),
        ("images_per_epoch", 1, ">= 2 - at `$.images_per_epoch`"),
        ("monitor_images", 1, ">= 2 - at `$.monitor_images`"),
        ("folds", 1, ">= 2 - at `$.folds`"),
        ("name", "No Spaces", "- at `$.name`"),
        ("sampling", "twice", "'twice' - at `$.sampling`"),
        ("members", {}, "members []"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(
    place: str, value: Any, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "mine.json", place, value)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in caught.value.what
    assert caught.value.what.startswith(f"recipe {path}: ")
    assert caught.value.remedy == "correct that value"


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"{", b"\xff\xfe", b"[]"):
        (tmp_path / "mine.json").write_bytes(content)
        with pytest.raises(RecipeError, match=r"mine\.json"):
            load_recipe(str(tmp_path / "mine.json"))


def test_an_unknown_recipe_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'worst'.*best, paper"):
        load_recipe("worst")
    with pytest.raises(RecipeError, match="no recipe"):
        load_recipe(str(tmp_path))  # a folder


def test_the_digest_is_of_the_values_and_not_of_the_file(tmp_path: Path) -> None:
    paper = load_recipe("paper")
    same = load_recipe(written(tmp_path / "a.json", "seed", paper.seed))
    other = load_recipe(written(tmp_path / "b.json", "seed", paper.seed + 1))
    assert same.digest == paper.digest
    assert other.digest != paper.digest


def test_what_a_conversion_is_held_to_has_no_part_in_the_digest() -> None:
    recipe = load_recipe("best")
    stricter = msgspec.structs.replace(recipe, parity=ParityBudget(mean_dy=0.001))
    assert stricter != recipe
    assert stricter.digest == recipe.digest


def test_a_remark_has_no_part_in_the_digest() -> None:
    recipe = load_recipe("best")
    assert msgspec.structs.replace(recipe, remark="Another one.").digest == recipe.digest


@given(weights=st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_members_that_are_each_within_budget_are_so_together(weights: list[float]) -> None:
    budget = ParityBudget(mean_dy=0.004, worst_dy=0.04, member_mean_dp=0.01)
    held_to = budget.of_members(dict(zip(MEMBER_NAMES, weights, strict=True)))
    each = np.array([(held.mean_dp, held.undecided_dp) for held in held_to.values()])
    parts = np.array(weights)[:, None] * np.minimum(each, 1)  # no probability moves further
    mean, worst = np.sqrt((parts**2).sum(axis=0))  # where their errors are independent
    assert mean <= budget.mean_dy + 1e-12
    assert worst <= budget.worst_dy + 1e-12
    assert all(0 < dp <= budget.member_mean_dp for dp in each[:, 0])
    # A member without a part in y costs nothing to be off.
    alone = budget.of_members({"vgg16": 0.0, "resnet50": 1.0})
    assert alone == {"vgg16": MemberBudget(0.01, math.inf), "resnet50": MemberBudget(0.004, 0.04)}
