"""What an ablation compares: a recipe at small scale, and the same with one thing changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from pneumo_edge.errors import RecipeError
from train.recipe import Augmentation, Recipe, load_recipe

NO_AUGMENTATION = Augmentation(rotation_degrees=0, shift=0, shear=0, zoom=0, horizontal_flip=False)
"""Every film as it is."""

CHANGES = (
    "pretraining",
    "freezing",
    "framing",
    "class_weights",
    "augmentation",
    "averaging",
    "teacher",
)
"""What `--vary` knows, beside recipe=NAME."""

WHOLE = "as it is"
"""The name of the variant that changes nothing."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How small the trainings are."""

    member: str
    images: int
    """Films that pass through a training in all; the same for every variant."""
    epochs: int
    """That they are divided into."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One training of an ablation."""

    name: str
    recipe: Recipe
    init: str
    """Initial weights; see `train.weights.fill`."""


def scaled(recipe: Recipe, scale: Scale, seed: int) -> Recipe:
    """One member, so many films, folds by look.

    Raises:
        RecipeError: the recipe has no such member, or the films do not fill a batch in each epoch.
    """
    if scale.member not in recipe.members:
        raise RecipeError(
            f"recipe {recipe.name} has no member {scale.member!r}",
            f"name one of {', '.join(recipe.members)}",
        )
    per_epoch = scale.images // scale.epochs
    if per_epoch < recipe.batch_size:
        raise RecipeError(
            f"{scale.images} films in {scale.epochs} epochs do not fill a batch of {recipe.batch_size}",
            "raise --images",
        )
    member = msgspec.structs.replace(recipe.members[scale.member], epochs=scale.epochs)
    return msgspec.structs.replace(
        recipe,
        seed=recipe.seed + seed,
        images_per_epoch=per_epoch,
        validation="look",
        members={scale.member: member},
    )


def changed(recipe: Recipe, what: str) -> Recipe:
    """The recipe with one thing taken away, or the other way round.

    Args:
        recipe: Its members are all changed alike.
        what: One of `CHANGES` but pretraining, which is a matter of initial weights.
    """
    replace = msgspec.structs.replace
    if what == "freezing":
        members = {name: replace(m, frozen_layers=0) for name, m in recipe.members.items()}
        return replace(recipe, members=members)
    if what == "class_weights":
        return replace(recipe, class_weights="none" if recipe.class_weights == "paper" else "paper")
    if what == "augmentation":
        return replace(recipe, augmentation=NO_AUGMENTATION)
    if what == "framing":
        return replace(recipe, framing=False)
    if what == "averaging":
        return replace(recipe, ema_momentum=None)
    return replace(recipe, teacher=None)


def variants(
    recipe: Recipe, vary: Sequence[str], scale: Scale, seed: int, init: str, plain: str
) -> tuple[Variant, ...]:
    """The recipe as it is, and with each of the named changes.

    Args:
        recipe: What the ablation is of.
        vary: `CHANGES`, or recipe=NAME for another recipe from plain weights.
        scale: How small.
        seed: Added to the recipe's.
        init: Initial weights, pre-trained ones among them.
        plain: Initial weights without pre-training.

    Raises:
        RecipeError: an unknown change, or one that changes nothing.
    """
    whole = scaled(recipe, scale, seed)
    made = [Variant(WHOLE, whole, init)]
    for what in vary:
        if what.startswith("recipe="):
            other = load_recipe(what.removeprefix("recipe="))
            made.append(Variant(f"recipe {other.name}", scaled(other, scale, seed), plain))
            continue
        if what not in CHANGES:
            raise RecipeError(
                f"cannot vary {what!r}", f"name some of {', '.join(CHANGES)}, recipe=NAME"
            )
        variant = (
            Variant("without pretraining", whole, plain)
            if what == "pretraining"
            else Variant(_title(what, whole), changed(whole, what), init)
        )
        if (variant.recipe, variant.init) == (whole, init):
            raise RecipeError(
                f"recipe {recipe.name} has no {what} to vary", "leave it out of --vary"
            )
        made.append(variant)
    return tuple(made)


def _title(what: str, whole: Recipe) -> str:
    return f"with{'' if what == 'class_weights' and whole.class_weights == 'none' else 'out'} " + (
        what.replace("_", " ")
    )
