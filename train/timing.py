"""What training took, in all and by the image, against the plain CNN."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import Struct
from train.quiet import import_keras
from train.recipe import BASELINE, Recipe
from train.run import History, Run, Split


class TrainingTime(Struct, frozen=True):
    """What training one member took. Seconds are wall time on whatever machine it was, busy or not."""

    member: str
    init: str
    epochs: int
    images_seen: int | None
    """By all epochs, some of them more than once; None, and all that is by the image, where the member was
    trained by another recipe than the run's, so that nothing tells."""
    minutes: float
    """Of the training steps; the look at the monitored films after each epoch does not count."""
    seconds_per_1000_images: float | None
    """Of the median epoch: a machine that was busy for an hour does not shift it."""
    time_to_baseline: float | None
    """Minutes over the baseline's; None where no baseline was trained."""
    image_time_to_baseline: float | None
    """Seconds per image over the baseline's."""


def images_per_epoch(recipe: Recipe, split: Split, fold: str) -> int:
    """How many films an epoch draws, in whole batches, as `train.batches` draws them."""
    inside = [film for k, part in enumerate(split.folds) if str(k) != fold for film in part]
    if recipe.sampling == "all":
        drawn = min(len(inside), recipe.images_per_epoch or len(inside))
    elif recipe.images_per_epoch is not None:
        drawn = recipe.images_per_epoch // 2 * 2
    else:
        normal = sum(film.startswith("normal/") for film in inside)
        drawn = 2 * min(normal, len(inside) - normal)
    return min(drawn, max(1, drawn // recipe.batch_size) * recipe.batch_size)


def histories(run: Run, names: tuple[str, ...]) -> dict[str, History]:
    """The histories of the models that ship, of those members that were trained.

    Raises:
        RecipeError: one is missing, has no epoch, or is of another member or fold than its folder.
    """
    found = {}
    for name in names:
        if not run.folds_of(name):
            continue
        folder = run.model_path(name).parent
        history = run.read(f"{name}/{folder.name}/history.json", History)
        if (history.member, f"fold-{history.fold}") != (name, folder.name) or not history.epochs:
            raise RecipeError(
                f"{folder / 'history.json'} is of {history.member}, fold {history.fold}, "
                f"{len(history.epochs)} epochs",
                "restore that file, or train the member again",
            )
        found[name] = history
    return found


def of_other_recipe(told: dict[str, History], recipe: Recipe) -> list[str]:
    """The members that were trained by another recipe than their run's."""
    import_keras()
    from train.checkpoint import training_digest

    return [
        name
        for name, history in told.items()
        if name not in recipe.members or history.recipe != training_digest(recipe, name)
    ]


def training_times(
    told: dict[str, History], recipe: Recipe, split: Split, strangers: Sequence[str]
) -> list[TrainingTime]:
    """What each member took, beside the baseline where it is among them.

    Args:
        told: By member.
        recipe: The run's.
        split: The run's.
        strangers: Members of another recipe, see `of_other_recipe`.
    """
    minutes = {name: sum(e.seconds for e in h.epochs) / 60 for name, h in told.items()}
    images = {
        name: images_per_epoch(recipe, split, h.fold)
        for name, h in told.items()
        if name not in strangers
    }
    speed = {
        name: median(e.seconds for e in told[name].epochs) / count * 1000
        for name, count in images.items()
    }
    return [
        TrainingTime(
            member=name,
            init=history.init,
            epochs=len(history.epochs),
            images_seen=images[name] * len(history.epochs) if name in images else None,
            minutes=round(minutes[name], 2),
            seconds_per_1000_images=round(speed[name], 2) if name in speed else None,
            time_to_baseline=_ratio(minutes, name),
            image_time_to_baseline=_ratio(speed, name),
        )
        for name, history in told.items()
    ]


def _ratio(values: dict[str, float], name: str) -> float | None:
    if name not in values or not values.get(BASELINE):
        return None
    return round(values[name] / values[BASELINE], 3)
