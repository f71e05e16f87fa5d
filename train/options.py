"""What `train fit`, `pretrain` and `ablate` were asked for, checked before Keras and its seconds are loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pneumo_edge.errors import RecipeError
from train.dataset import KERMANY, Film, default_data_dir, training_films
from train.recipe import Pretraining, Recipe, load_recipe
from train.run import ALL
from train.unlabelled import list_unlabelled
from train.variants import Scale, Variant, variants

PRECISIONS = ("float32", "mixed_bfloat16")
"""Keras dtype policies to train in."""


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What `train fit` was asked for."""

    run: Path
    data: Path
    recipe: str
    members: tuple[str, ...]
    """Empty: the recipe's."""
    folds: tuple[str, ...]
    """Empty: every fold, then all."""
    init: str
    """See `train.weights.fill`; or imagenet, or none."""
    precision: str
    patient: str | None
    source: str | None
    """Where the films come from and under what licence; None keeps what the run has."""
    distribute: str = "none"
    """See `train.distribute`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A `train fit` whose options are in order."""

    recipe: Recipe
    films: tuple[Film, ...]
    pairs: tuple[tuple[str, str], ...]
    """(member, fold) to train, in order."""


@dataclass(frozen=True, slots=True)
class PretrainOptions:
    """What `train pretrain` was asked for."""

    films: tuple[Path, ...]
    """Empty: the shared set's unlabelled films and its training films."""
    out: Path
    recipe: str
    members: tuple[str, ...]
    """Empty: those of the recipe's pre-training."""
    init: str
    """Folders with weights; see `train.weights.fill`."""
    precision: str
    distribute: str = "none"
    """See `train.distribute`."""


@dataclass(frozen=True, slots=True)
class PretrainPlan:
    """A `train pretrain` whose options are in order."""

    recipe: Recipe
    folders: tuple[Path, ...]
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AblationOptions:
    """What `train ablate` was asked for."""

    data: Path
    out: Path
    recipe: str
    member: str
    vary: tuple[str, ...]
    """See `train.variants.variants`."""
    images: int
    epochs: int
    seeds: int
    init: str
    """Initial weights of the recipe as it is; see `train.weights.fill`."""
    plain: str
    """Initial weights without pre-training."""
    precision: str
    distribute: str = "none"


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """A `train ablate` whose options are in order."""

    films: tuple[Film, ...]
    variants: tuple[tuple[Variant, ...], ...]
    """For each seed."""


def plan_ablation(options: AblationOptions) -> AblationPlan:
    """Check the options and list the films.

    Raises:
        PneumoEdgeError: names the first option that is wrong.
    """
    _check_precision(options.precision)
    check_distribute(options.distribute)
    for init in (options.init, options.plain):
        _check_init(init)
    recipe = load_recipe(options.recipe)
    scale = Scale(options.member, options.images, options.epochs)
    made = tuple(
        variants(recipe, options.vary, scale, seed, options.init, options.plain)
        for seed in range(options.seeds)
    )
    return AblationPlan(training_films(options.data), made)


def plan(options: TrainingOptions) -> Plan:
    """Check the options and list the films.

    Raises:
        PneumoEdgeError: names the first option that is wrong.
    """
    _check_precision(options.precision)
    check_distribute(options.distribute)
    recipe = load_recipe(options.recipe)
    pairs = choose(recipe, options)
    _check_init(options.init)
    pattern = options.patient if options.patient is not None else KERMANY
    return Plan(recipe, training_films(options.data, pattern), pairs)


def choose(recipe: Recipe, options: TrainingOptions) -> tuple[tuple[str, str], ...]:
    """The (member, fold) pairs to train, in order.

    Raises:
        RecipeError: a member or a fold that the recipe does not have.
    """
    members = options.members or tuple(recipe.members)
    known = [*(str(k) for k in range(recipe.folds)), ALL]
    for name in members:
        if name not in recipe.members:
            raise RecipeError(
                f"recipe {recipe.name} has no member {name!r}",
                f"name one of {', '.join(recipe.members)}",
            )
    chosen = options.folds or tuple(known)
    for fold in chosen:
        if fold not in known:
            raise RecipeError(f"there is no fold {fold!r}", f"name one of {', '.join(known)}")
    return tuple((name, fold) for fold in chosen for name in members)


def plan_pretraining(options: PretrainOptions) -> PretrainPlan:
    """Check the options, and that there are films.

    Raises:
        PneumoEdgeError: names the first option that is wrong.
    """
    _check_precision(options.precision)
    check_distribute(options.distribute)
    recipe = load_recipe(options.recipe)
    members = options.members or tuple(pretraining_of(recipe, ()).members)
    pretraining_of(recipe, members)
    for part in options.init.split(os.pathsep):
        if not Path(part).is_dir():
            raise RecipeError(
                f"{part} is no folder of initial weights",
                "name one that has the teacher's as --init",
            )
    shared = default_data_dir()
    folders = options.films or (shared / "pretrain", shared / "kermany" / "train")
    for folder in folders:
        list_unlabelled(folder)
    return PretrainPlan(recipe, folders, members)


def pretraining_of(recipe: Recipe, members: tuple[str, ...]) -> Pretraining:
    """The recipe's part for pre-training, which knows all these members.

    Raises:
        RecipeError: there is none, or it does not know one of them.
    """
    if recipe.pretraining is None:
        raise RecipeError(f"recipe {recipe.name} has no pretraining", "name one that has, as best")
    known = recipe.pretraining.members
    for name in members:
        if name not in known:
            raise RecipeError(
                f"recipe {recipe.name} does not pre-train {name!r}",
                f"name one of {', '.join(known)}",
            )
    return recipe.pretraining


def check_distribute(value: str) -> None:
    """Refuse what `--distribute` does not know.

    Raises:
        RecipeError: it is neither auto, nor none, nor a number of devices.
    """
    if value not in ("auto", "none") and not (value.isdecimal() and int(value) >= 1):
        raise RecipeError(
            f"cannot distribute over {value!r}", "pass auto, none, or a number of devices"
        )


def _check_precision(value: str) -> None:
    if value not in PRECISIONS:
        raise RecipeError(f"no precision {value!r}", f"pass {' or '.join(PRECISIONS)}")


def _check_init(value: str) -> None:
    if value in ("imagenet", "none"):
        return
    for part in value.split(os.pathsep):
        if not Path(part).exists():
            raise RecipeError(f"no weights file {part}", "pass imagenet, none, a file or a folder")
