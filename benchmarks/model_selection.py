"""Does a validation rank models as films from elsewhere do? `pneumo-edge bench selection` fits cheap ones and compares.

The test split is read for this alone: to judge validations, on models that are thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

if TYPE_CHECKING:
    from benchmarks.cheap_models import Candidate, Views
    from train.dataset import Dataset

FOLDS = 5
SEED = 20
LAYERS = ("conv2_block3_out", "conv3_block4_out", "conv4_block2_out", "conv4_block6_out")
DRAWS = 1000
"""Of the bootstrap."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model: its area under the curve on the test split and by each validation."""

    candidate: str
    family: str
    strength: float
    test: float
    validations: dict[str, float]


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a validation ranks the models of a family."""

    validation: str
    family: str
    models: int
    spearman: float
    """Rank correlation with the test split."""
    low: float
    """Of the 95 % interval, by bootstrap of the sets of features."""
    high: float
    chosen: float
    """Area on the test split of the model that this validation puts first."""
    best: float
    """Of the model that does best there."""


def score(
    candidate: Candidate,
    labels: NDArray[np.int64],
    test_labels: NDArray[np.int64],
    folds: dict[str, Sequence[Sequence[int]]],
) -> list[Row]:
    """Fit a candidate on all films and on all folds but one, at every strength."""
    from sklearn.metrics import roc_auc_score

    from benchmarks.cheap_models import STRENGTHS, ridge

    everything = np.arange(len(labels))
    tested = ridge(candidate.train, everything, labels)(candidate.test)
    found: dict[str, NDArray[np.float64]] = {}
    for method, parts in folds.items():
        shown = {
            method: candidate.clean,
            f"{method}, under stress": candidate.stressed,
            f"{method}, under other stress": candidate.foreign,
        }
        found |= {name: np.empty((len(STRENGTHS), len(labels))) for name in shown}
        for part in parts:
            held_out = np.array(part)
            model = ridge(candidate.train, np.setdiff1d(everything, held_out), labels)
            for name, features in shown.items():
                found[name][:, held_out] = model(features[held_out])
    return [
        Row(
            candidate.name,
            candidate.family,
            strength,
            float(roc_auc_score(test_labels, tested[k])),
            {name: float(roc_auc_score(labels, y[k])) for name, y in found.items()},
        )
        for k, strength in enumerate(STRENGTHS)
    ]


def rank(rows: Sequence[Row], validation: str, family: str) -> Ranking:
    """Compare the order of models by a validation with that on the test split."""
    from scipy.stats import spearmanr

    test = np.array([row.test for row in rows])
    value = np.array([row.validations[validation] for row in rows])
    names = np.array([row.candidate for row in rows])
    groups = [np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())]
    rng = np.random.default_rng(SEED)
    drawn = []
    for _ in range(DRAWS):
        take = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        drawn.append(spearmanr(value[take], test[take]).statistic)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Ranking(
        validation,
        family,
        len(rows),
        float(spearmanr(value, test).statistic),
        float(low),
        float(high),
        float(test[value.argmax()]),
        float(test.max()),
    )


def table(rankings: Sequence[Ranking]) -> list[str]:
    """A Markdown table, a validation a row."""
    lines = [
        "| models | validation | rank correlation with the test split | test AUC of its first | best |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r.family} ({r.models}) | {r.validation} | {r.spearman:+.2f} ({r.low:+.2f} to {r.high:+.2f}) "
        f"| {r.chosen:.4f} | {r.best:.4f} |"
        for r in rankings
    ]
    return lines


def _draw(data: Path, each: int) -> Dataset:
    """As many films of each class, at random."""
    from train.dataset import load, training_films

    films = training_films(data)
    rng = np.random.default_rng(SEED)
    rows: list[int] = []
    for label in (0, 1):
        of_class = [i for i, film in enumerate(films) if film.label == label]
        rows += rng.permutation(of_class)[:each].tolist()
    return load([films[i] for i in sorted(rows)])


def _views(films: Dataset, test: Dataset) -> Views:
    """The films, changed as recipe `best` changes them, and under stress of either kind."""
    from benchmarks.cheap_models import Views
    from train.augment import augment
    from train.recipe import load_recipe
    from train.stress import foreign, stressed

    spec, rng = load_recipe("best").augmentation, np.random.default_rng(SEED)
    changed = np.stack([augment(tensor, spec, rng) for tensor in films.tensors])
    return Views(
        films.tensors,
        np.rint(changed).astype(np.uint8),
        stressed(films, SEED).tensors,
        foreign(films, SEED).tensors,
        test.tensors,
    )


def _all_candidates(views: Views, init: str | None) -> list[Candidate]:
    from benchmarks.cheap_models import PREPARATIONS, candidates, frozen, thumbnails

    made: list[Candidate] = []
    for how in PREPARATIONS:
        for side in (8, 16):
            name = f"{side} x {side} {how}"
            made += candidates(name, "thumbnails", thumbnails(how, side), views)
    if init is not None:
        for layer in LAYERS:
            made += candidates(layer, "frozen features", frozen(layer, init), views)
    return made


def command(
    data: Annotated[
        Path | None,
        typer.Option(help="Default: $PNEUMO_EDGE_DATA/kermany or ../shared/data/kermany."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Weights of ResNet50, as of `train fit`. Without: thumbnails alone."),
    ] = None,
    each: Annotated[int, typer.Option(min=50, help="Training films of each class.")] = 800,
) -> None:
    """Compare validations by how they rank cheap models against the test split."""
    from train.dataset import kermany_folder, list_films, load
    from train.folds import cut
    from train.quiet import import_keras

    if init is not None:
        import_keras()
    folder = kermany_folder(data)
    films, test = _draw(folder, each), load(list_films(folder / "test"))
    folds = {method: cut(films, method, FOLDS, SEED) for method in ("patient", "number", "look")}
    rows: list[Row] = []
    for candidate in _all_candidates(_views(films, test), init):
        rows += score(candidate, films.labels, test.labels, dict(folds))
    rankings = [
        rank([row for row in rows if row.family == family], validation, family)
        for family in dict.fromkeys(row.family for row in rows)
        for validation in rows[0].validations
    ]
    print("\n".join(table(rankings)))
    print(
        json.dumps({"rows": [asdict(r) for r in rows], "rankings": [asdict(r) for r in rankings]})
    )
