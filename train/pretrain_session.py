"""One `train pretrain`: the films, then member after member with progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pneumo_edge.errors import RecipeError
from train.dataset import default_data_dir
from train.pretrain import Pretrained, PretrainJob, part_of, pretrain_member
from train.progress import reading, tell_skipped, training
from train.recipe import load_recipe
from train.unlabelled import read_unlabelled


@dataclass(frozen=True, slots=True)
class PretrainOptions:
    """What the command line asked for."""

    films: tuple[Path, ...]
    """Empty: the shared set's unlabelled films and its training films."""
    out: Path
    recipe: str
    members: tuple[str, ...]
    """Empty: those of the recipe's pre-training."""
    init: str
    precision: str


def pretrain_members(options: PretrainOptions) -> list[Pretrained]:
    """Pre-train what was asked for; see `pneumo-edge train pretrain --help`.

    Raises:
        PneumoEdgeError: bad films, recipe or weights; what was trained before it stays.
    """
    recipe = load_recipe(options.recipe)
    members = options.members or tuple(part_of(recipe, ()).members)
    part_of(recipe, members)
    if not Path(options.init).is_dir():
        raise RecipeError(
            f"{options.init} is no folder of initial weights", "name one that has the teacher's"
        )
    console = Console(stderr=True)
    folders = options.films or (
        default_data_dir() / "pretrain",
        default_data_dir() / "kermany/train",
    )
    with reading(console) as step:
        films = read_unlabelled(folders, step)
    tell_skipped(films.skipped, console)
    console.print(f"{len(films)} films without labels; {len(films.skipped)} skipped")
    done = []
    for name in members:
        job = PretrainJob(name, options.init, options.precision)
        with training(f"{name}, pre-training", console) as report:
            history = pretrain_member(options.out, films, recipe, job, report)
        told = ", ".join(f"{k} {v:.3f}" for k, v in history.epochs[-1].explained.items())
        minutes = sum(epoch.seconds for epoch in history.epochs) / 60
        console.print(
            f"{name}: {len(history.epochs)} epochs in {minutes:.1f} min; explained of the teacher: {told}"
        )
        done.append(history)
    return done
