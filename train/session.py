"""One `train fit`: the data, the split, then member after member with progress and curves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from pneumo_edge.errors import RecipeError
from train.checkpoint import known_history
from train.curves import draw_curves
from train.dataset import KERMANY, Dataset, folds, load, training_films
from train.fit import Job, fit_member
from train.progress import reading, tell_skipped, training
from train.recipe import Recipe, load_recipe
from train.run import ALL, History, Run, Split


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What the command line asked for."""

    run: Path
    data: Path
    recipe: str
    members: tuple[str, ...]
    """Empty: the recipe's."""
    folds: tuple[str, ...]
    """Empty: every fold, then all."""
    init: str
    precision: str
    patient: str | None
    source: str | None
    """Where the films come from and under what licence; None keeps what the run has."""


def read_films(data: Path, pattern: str | None, console: Console) -> Dataset:
    """Decode and prepare all films for training, and say what was skipped."""
    films = training_films(data, pattern if pattern is not None else KERMANY)
    with reading(console) as step:
        dataset = load(films, lambda n: step(n, len(films)))
    tell_skipped(dataset.skipped, console)
    alone = sum(film.patient.startswith("file:") for film in dataset.films)
    if alone:
        console.print(
            f"{alone} of {len(dataset)} file names tell no patient; each is taken for a patient of its "
            "own. Pass --patient if one has several films."
        )
    normal = int((dataset.labels == 0).sum())
    console.print(
        f"{len(dataset)} films of {len(set(dataset.patients.tolist()))} patients: "
        f"{normal} normal, {len(dataset) - normal} pneumonia; {len(dataset.skipped)} skipped"
    )
    return dataset


def keep_split(run: Run, dataset: Dataset, recipe: Recipe, options: TrainingOptions) -> Split:
    """Write the run's folds, or check that they still fit the data.

    Raises:
        RecipeError: the run was started on other films.
    """
    pattern = options.patient if options.patient is not None else KERMANY
    split = Split(
        data=options.data.resolve().name,
        films=len(dataset),
        patients=len(set(dataset.patients.tolist())),
        patient_pattern=pattern,
        seed=recipe.seed,
        folds=[
            [dataset.films[i].id for i in part]
            for part in folds(dataset.films, recipe.folds, recipe.seed)
        ],
    )
    if (run.folder / "split.json").is_file():
        known = run.split()
        if msgspec.structs.replace(known, source="") != split:
            raise RecipeError(
                f"run {run.folder} was started on another data set, patient pattern or split",
                "name another run folder with --run",
            )
        split = known
    if options.source is not None:
        split = msgspec.structs.replace(split, source=options.source)
    run.write("split.json", split)
    return split


def choose(recipe: Recipe, options: TrainingOptions) -> list[tuple[str, str]]:
    """The (member, fold) pairs to train, in order.

    Raises:
        RecipeError: a member or a fold that the recipe does not have.
    """
    members = options.members or tuple(recipe.members)
    known = [*(str(k) for k in range(recipe.folds)), ALL]
    chosen = options.folds or tuple(known)
    for name in members:
        if name not in recipe.members:
            raise RecipeError(
                f"recipe {recipe.name} has no member {name!r}",
                f"name one of {', '.join(recipe.members)}",
            )
    for fold in chosen:
        if fold not in known:
            raise RecipeError(f"there is no fold {fold!r}", f"name one of {', '.join(known)}")
    return [(name, fold) for fold in chosen for name in members]


def refuse_other_recipe(run: Run, recipe: Recipe) -> None:
    """Refuse to go on with a run of which a member was trained by another recipe.

    Raises:
        RecipeError: see `train.fit.known_history`.
    """
    for name in recipe.members:
        for fold in (*(str(k) for k in range(recipe.folds)), ALL):
            known_history(run.member(name, fold), run, recipe, name)


def train_members(options: TrainingOptions) -> list[History]:
    """Train what was asked for; see `pneumo-edge train fit --help`.

    Raises:
        PneumoEdgeError: bad data, recipe or run; what was trained before it stays.
    """
    if options.precision not in ("float32", "mixed_bfloat16"):
        raise RecipeError(f"no precision {options.precision!r}", "pass float32 or mixed_bfloat16")
    console = Console(stderr=True)
    recipe = load_recipe(options.recipe)
    pairs = choose(recipe, options)
    run = Run(options.run)
    dataset = read_films(options.data, options.patient, console)
    keep_split(run, dataset, recipe, options)
    # Before the recipe is written: it stands in the run for every member of it.
    refuse_other_recipe(run, recipe)
    run.write("recipe.json", recipe)
    histories = []
    for name, fold in pairs:
        job = Job(name, fold, options.init, options.precision)
        history = _train_one(run, dataset, recipe, job, console)
        draw_curves(history, run.member(name, fold) / "curves.png")
        histories.append(history)
    return histories


def _train_one(run: Run, dataset: Dataset, recipe: Recipe, job: Job, console: Console) -> History:
    """One member on one fold, with a bar on a terminal and a line per epoch anywhere."""
    title = f"{job.name}, fold {job.fold}"
    with training(title, console) as report:
        history = fit_member(run, dataset, recipe, job, report)
    last = history.epochs[-1]
    console.print(
        f"{title}: {len(history.epochs)} epochs in "
        f"{sum(e.seconds for e in history.epochs) / 60:.1f} min; AUC {last.val_auc:.4f}, "
        f"accuracy {last.val_accuracy:.4f} on {'seen' if job.fold == ALL else 'held-out'} films "
        f"(init {history.init})"
    )
    return history
