from __future__ import annotations

import msgspec
import pytest

from pneumo_edge.errors import RecipeError
from train.recipe import load_recipe
from train.variants import CHANGES, NO_AUGMENTATION, WHOLE, Scale, Variant, variants

SCALE = Scale("vgg19", 640, 2)
BEST = load_recipe("best")


def made(*vary: str, scale: Scale = SCALE, seed: int = 0) -> dict[str, Variant]:
    return {v.name: v for v in variants(BEST, vary, scale, seed, "pretrained", "plain")}


def test_each_variant_differs_in_one_thing_and_sees_as_many_films() -> None:
    vary = [c for c in CHANGES if c != "teacher" or BEST.teacher is not None]
    got = made(*vary, "recipe=paper")
    assert len(got) == len(vary) + 2
    whole = got.pop(WHOLE)
    assert whole.init == "pretrained"
    assert whole.recipe.validation == "look"
    for variant in got.values():
        assert set(variant.recipe.members) == {"vgg19"}
        member = variant.recipe.members["vgg19"]
        assert member.epochs * (variant.recipe.images_per_epoch or 0) == 640
        assert variant.recipe.validation == "look"
    assert got["without pretraining"] == Variant("without pretraining", whole.recipe, "plain")
    assert got["without freezing"].recipe.members["vgg19"].frozen_layers == 0
    assert got["without augmentation"].recipe.augmentation == NO_AUGMENTATION
    weights = "with" if BEST.class_weights == "none" else "without"
    assert got[f"{weights} class weights"].recipe.class_weights != BEST.class_weights
    assert got["without averaging"].recipe.ema_momentum is None
    assert got["recipe paper"].init == "plain"
    assert got["recipe paper"].recipe.members["vgg19"].learning_rate == 1e-5


def test_seeds_are_added_to_the_recipes() -> None:
    assert made(seed=3)[WHOLE].recipe.seed == BEST.seed + 3


def test_what_changes_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"cannot vary 'dropout'.*pretraining, freezing"):
        made("dropout")
    with pytest.raises(RecipeError, match="has no pretraining to vary"):
        variants(BEST, ["pretraining"], SCALE, 0, "plain", "plain")
    still = msgspec.structs.replace(BEST, augmentation=NO_AUGMENTATION)
    with pytest.raises(RecipeError, match="has no augmentation to vary"):
        variants(still, ["augmentation"], SCALE, 0, "a", "b")
    with pytest.raises(RecipeError, match="no recipe 'worst'"):
        made("recipe=worst")


def test_a_scale_that_no_recipe_fits_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"recipe best has no member 'vgg17'"):
        made(scale=Scale("vgg17", 640, 2))
    with pytest.raises(RecipeError, match="20 films in 2 epochs do not fill a batch of 16"):
        made(scale=Scale("vgg19", 20, 2))
