"""One `train fit`: the data, the split, then member after member with progress and curves."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.console import Console
from sklearn.metrics import roc_auc_score

from pneumo_edge.errors import RecipeError
from train.checkpoint import known_history
from train.curves import draw_curves
from train.dataset import KERMANY, LABELS, NAMELESS, Dataset, Film, load
from train.distribute import join
from train.fit import Job, fit_member
from train.folds import cut
from train.framing import framed_films, keep_template
from train.options import Plan, TrainingOptions
from train.progress import reading, tell_skipped, training
from train.recipe import Recipe
from train.run import ALL, STRESSED, History, Predictions, Run, Split


def read_films(films: Sequence[Film], console: Console) -> Dataset:
    """Decode and prepare all films for training, and say what was skipped."""
    with reading(console) as step:
        dataset = load(films, lambda n: step(n, len(films)))
    tell_skipped(dataset.skipped, console)
    alone = sum(film.patient.startswith(NAMELESS) for film in dataset.films)
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
            for part in cut(dataset, recipe.validation, recipe.folds, recipe.seed)
        ],
        method=recipe.validation,
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


def tell_folds(split: Split, console: Console) -> None:
    """How many films of each class every fold holds out."""
    told = []
    for fold in split.folds:
        normal = sum(film.startswith(f"{LABELS[0]}/") for film in fold)
        told.append(f"{normal} + {len(fold) - normal}")
    console.print(f"folds by {split.method} (normal + pneumonia held out): {', '.join(told)}")


def refuse_other_recipe(run: Run, recipe: Recipe) -> None:
    """Refuse to go on with a run of which a member was trained by another recipe.

    Raises:
        RecipeError: see `train.fit.known_history`.
    """
    for name in recipe.members:
        for fold in (*(str(k) for k in range(recipe.folds)), ALL):
            known_history(run.member(name, fold), run, recipe, name)


def train_members(options: TrainingOptions, asked: Plan) -> list[History]:
    """Train what was asked for; see `pneumo-edge train fit --help`.

    Args:
        options: What was asked for.
        asked: What `train.options.plan` made of them.

    Raises:
        PneumoEdgeError: bad data or run; what was trained before it stays.
    """
    join(options.distribute)
    console = Console(stderr=True)
    recipe, run = asked.recipe, Run(options.run)
    dataset = read_films(asked.films, console)
    tell_folds(keep_split(run, dataset, recipe, options), console)
    # Before the recipe is written: it stands in the run for every member of it.
    refuse_other_recipe(run, recipe)
    run.write("recipe.json", recipe)
    dataset = framed_films(dataset, keep_template(run, dataset, recipe))
    histories = []
    for name, fold in asked.pairs:
        job = Job(name, fold, options.init, options.precision, options.distribute)
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
    if job.fold != ALL and (run.member(job.name, job.fold) / STRESSED).is_file():
        got = run.read(f"{job.name}/fold-{job.fold}/{STRESSED}", Predictions)
        area = roc_auc_score(got.labels, got.probabilities)
        console.print(f"{title}: AUC {area:.4f} on the same films under stress")
    return history
