"""An ablation at small scale: the same films through every variant, measured on films that look different."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from sklearn.metrics import roc_auc_score

from pneumo_edge.manifest import Struct
from train.dataset import Dataset, list_films
from train.distribute import join
from train.fit import Job, fit_member, predict
from train.folds import cut
from train.framing import framed_films, keep_template
from train.options import AblationOptions, AblationPlan
from train.progress import training
from train.run import Predictions, Run, Split
from train.session import read_films
from train.variants import WHOLE, Variant

FOLD = "0"
"""The look that is held out; the folds of one seed are the same for every variant."""


class Result(Struct, frozen=True):
    """How one training of an ablation came out."""

    variant: str
    seed: int
    recipe: str
    """Digest."""
    init: str
    """What filled the member."""
    images: int
    held_out_auc: float
    """On the look that was held out."""
    test_auc: float
    test_accuracy: float
    """At 0.5."""
    seconds: float


@dataclass(frozen=True, slots=True)
class _Data:
    films: Dataset
    test: Dataset


def run_ablation(options: AblationOptions, asked: AblationPlan) -> list[Result]:
    """Train what is not trained yet, and write `ablation.json` and `ablation.md`.

    Args:
        options: What `train ablate` was asked for.
        asked: What `train.options.plan_ablation` made of it.

    Raises:
        PneumoEdgeError: bad data; what was trained before it stays.
    """
    join(options.distribute)
    console = Console(stderr=True)
    films = read_films(asked.films, console)
    test = read_films(list_films(options.data / "test"), console)
    results: list[Result] = []
    for seed, variants in enumerate(asked.variants):
        for variant in variants:
            folder = options.out / variant.name.replace(" ", "-") / f"seed-{seed}"
            result = _one(Run(folder), variant, seed, _Data(films, test), options, console)
            results.append(result)
            Run(options.out).write("ablation.json", results)
            _write_table(options, asked.variants[0][0].recipe.name, results)
    return results


def _one(
    run: Run,
    variant: Variant,
    seed: int,
    data: _Data,
    options: AblationOptions,
    console: Console,
) -> Result:
    """Train, or go on with, one variant, and measure it."""
    if (run.folder / "result.json").is_file():
        known = run.read("result.json", Result)
        if (known.recipe, known.variant) == (variant.recipe.digest, variant.name):
            return known
    name = options.member
    run.write("recipe.json", variant.recipe)
    run.write("split.json", _split(data.films, variant, options.data))
    template = keep_template(run, data.films, variant.recipe)
    films, test = (framed_films(split, template) for split in (data.films, data.test))
    job = Job(name, FOLD, variant.init, options.precision, options.distribute)
    with training(f"{variant.name}, seed {seed}", console) as report:
        history = fit_member(run, films, variant.recipe, job, report)
    held_out = run.read(f"{name}/fold-{FOLD}/held_out.json", Predictions)
    model = keras.models.load_model(run.member(name, FOLD) / "model.keras")
    tested = predict(model, test)
    result = Result(
        variant=variant.name,
        seed=seed,
        recipe=variant.recipe.digest,
        init=history.init,
        images=options.images,
        held_out_auc=float(roc_auc_score(held_out.labels, held_out.probabilities)),
        test_auc=float(roc_auc_score(tested.labels, tested.probabilities)),
        test_accuracy=float(
            np.mean((np.array(tested.probabilities) > 0.5) == np.array(tested.labels))
        ),
        seconds=sum(epoch.seconds for epoch in history.epochs),
    )
    run.write("result.json", result)
    console.print(
        f"{variant.name}, seed {seed}: AUC {result.held_out_auc:.4f} on the look held out, "
        f"{result.test_auc:.4f} on the test split"
    )
    return result


def _split(films: Dataset, variant: Variant, data: Path) -> Split:
    recipe = variant.recipe
    parts = cut(films, recipe.validation, recipe.folds, recipe.seed)
    return Split(
        data=data.resolve().name,
        films=len(films),
        patients=len(set(films.patients.tolist())),
        patient_pattern="",
        seed=recipe.seed,
        folds=[[films.films[i].id for i in part] for part in parts],
        method=recipe.validation,
    )


def table(results: Sequence[Result]) -> list[str]:
    """A Markdown table: each variant's mean over seeds, its span, and what it loses to the recipe as it is."""
    whole = {r.seed: r for r in results if r.variant == WHOLE}
    rows = [
        "| variant | seeds | AUC, look held out | AUC, test | less than as it is, test | accuracy at 0.5, test |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in dict.fromkeys(result.variant for result in results):
        mine = [result for result in results if result.variant == name]
        lost = [whole[r.seed].test_auc - r.test_auc for r in mine if r.seed in whole]
        cells = [
            name,
            str(len(mine)),
            _span(mine, lambda r: r.held_out_auc),
            _span(mine, lambda r: r.test_auc),
            f"{np.mean(lost):+.4f}" if lost and name != WHOLE else "",
            _span(mine, lambda r: r.test_accuracy),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _span(results: Sequence[Result], figure: Callable[[Result], float]) -> str:
    values = [figure(result) for result in results]
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def _write_table(options: AblationOptions, recipe: str, results: Sequence[Result]) -> None:
    head = (
        f"{options.member} of recipe {recipe}, {options.images} films through each training. The test split "
        "is read to report, never to choose."
    )
    text = "\n".join([head, "", *table(results), ""])
    (options.out / "ablation.md").write_text(text, encoding="utf-8")
