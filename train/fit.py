"""Train one member on all folds but one: killed at any time, it goes on from its last epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from pneumo_edge.errors import RecipeError
from train.averaging import STATISTICS_BATCHES, refresh_statistics, swap_average
from train.batches import Batches
from train.checkpoint import (
    CHECKPOINT,
    HISTORY,
    known_history,
    load_checkpoint,
    save_model,
    training_digest,
)
from train.dataset import Dataset
from train.dirac import pass_through, scale_down
from train.distribute import spread
from train.framing import framed_films
from train.members import base_of, build_member, freeze
from train.probe import start_as_probe
from train.recipe import BASELINE, MemberRecipe, Recipe
from train.run import ALL, HELD_OUT, STRESSED, Epoch, History, Predictions, Run, whole
from train.stress import stressed
from train.teacher import Teacher, fit_teacher, load_teacher, save_teacher
from train.watch import DIVERGED, Progress, Watch
from train.weights import fill

MODEL = "model.keras"


@dataclass(frozen=True, slots=True)
class Job:
    """One training: which member, without which fold, from which weights."""

    name: str
    """A member of the recipe."""
    fold: str
    """Number of the fold to hold out, or "all" to hold out none: then the first fold's films are
    monitored, though the model has seen them."""
    init: str
    """imagenet, none, or a file or folder of weights."""
    precision: str = "float32"
    """A Keras dtype policy to train in: float32 or mixed_bfloat16."""
    distribute: str = "none"
    """Devices to train on; see `train.distribute`."""


def split_fold(dataset: Dataset, held_out: list[str]) -> tuple[Dataset, Dataset]:
    """(films to train on, films held out)."""
    names = set(held_out)
    outside = [i for i, film in enumerate(dataset.films) if film.id not in names]
    inside = [i for i, film in enumerate(dataset.films) if film.id in names]
    return dataset.subset(outside), dataset.subset(inside)


def monitored(held_out: Dataset, count: int | None, seed: int) -> Dataset:
    """The held-out films that every epoch looks at: a fixed draw, half of each class where it can."""
    if count is None or count >= len(held_out):
        return held_out
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for label in (0, 1):
        of_class = np.flatnonzero(held_out.labels == label)
        chosen += [int(i) for i in rng.permutation(of_class)[: count // 2]]
    return held_out.subset(sorted(chosen))


def predict(model: Any, dataset: Dataset, batch_size: int = 32) -> Predictions:
    """A float model's probabilities of a data set."""
    images = dataset.tensors.astype(np.float32)
    probabilities = model.predict(images, batch_size=batch_size, verbose=0)[:, 0]
    return Predictions(
        films=[film.id for film in dataset.films],
        patients=[film.patient for film in dataset.films],
        labels=[film.label for film in dataset.films],
        probabilities=[float(p) for p in probabilities],
    )


@keras.saving.register_keras_serializable("pneumo_edge")  # type: ignore[untyped-decorator]  # keras has no type stubs
def accuracy(targets: Any, probabilities: Any) -> Any:
    """Share of films on the side of 0.5 that their target is on; a teacher's target is no whole number."""
    same = keras.ops.equal(targets > 0.5, probabilities > 0.5)
    return keras.ops.mean(keras.ops.cast(same, "float32"), axis=-1)


def compile_member(model: Any, recipe: Recipe, member: MemberRecipe) -> None:
    """Give a model the recipe's optimizer, loss and metrics."""
    averaging = (
        {"use_ema": True, "ema_momentum": recipe.ema_momentum} if recipe.ema_momentum else {}
    )
    optimizer: Any
    if recipe.weight_decay:
        optimizer = keras.optimizers.AdamW(
            member.learning_rate, weight_decay=recipe.weight_decay, **averaging
        )
    else:
        optimizer = keras.optimizers.Adam(member.learning_rate, **averaging)
    model.compile(
        optimizer,
        keras.losses.BinaryCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=[accuracy],
        weighted_metrics=[],
    )


class _Fitting(Watch):
    """Records and checkpoints each epoch of a member's training."""

    def __init__(
        self,
        run: Run,
        history: History,
        recipe: Recipe,
        batches: Batches,
        monitor: Dataset,
        report: Callable[[Progress], None],
    ) -> None:
        self.history = history
        super().__init__(
            history.member, history.fold, recipe.members[history.member], batches, report
        )
        self._run = run
        self._folder = run.member(history.member, history.fold)
        self._seed = recipe.seed
        self._monitor = monitor

    def _losses(self) -> list[float]:
        return [past.val_loss for past in self.history.epochs]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Draw dropout's seeds too."""
        super().on_epoch_begin(epoch, logs)
        _seed_dropout(self.model, self._seed, epoch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the epoch and checkpoint it."""
        seconds = self.seconds()
        swap = self.model.optimizer.use_ema
        if swap:
            swap_average(self.model)
        got = predict(self.model, self._monitor)
        if swap:
            swap_average(self.model)
        labels, p = np.array(got.labels), np.clip(got.probabilities, 1e-7, 1 - 1e-7)
        if not np.isfinite(p).all():  # the epoch's last step can spoil the weights after its loss
            raise RecipeError(
                f"{self.history.member} gives probabilities that are no numbers after epoch {epoch + 1}",
                DIVERGED,
            )
        past = Epoch(
            epoch=epoch + 1,
            learning_rate=float(np.asarray(self.model.optimizer.learning_rate)),
            loss=float(logs["loss"]),
            accuracy=float(logs["accuracy"]),
            val_loss=float(-np.mean(np.where(labels == 1, np.log(p), np.log(1 - p)))),
            val_accuracy=float(np.mean((p > 0.5) == labels)),
            val_auc=float(roc_auc_score(labels, p)),
            seconds=seconds,
        )
        self.history.epochs.append(past)
        save_model(self.model, self._folder / CHECKPOINT, self.history)
        self._run.write(str(self._folder.relative_to(self._run.folder) / HISTORY), self.history)


def _seed_dropout(model: Any, seed: int, epoch: int) -> None:
    """Make an epoch drop the same units in a resumed run: a checkpoint does not hold their state."""
    for layer in model.layers:
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            drawn = np.random.default_rng((seed, epoch)).integers(2**31)
            generator.state.assign(np.array([drawn, 0], generator.state.dtype))


SPREAD_FILMS = 64
"""Enough for the spread of a channel."""


def _fill_rest(
    model: Any, recipe: Recipe, name: str, filled: tuple[str, ...], films: Dataset
) -> str:
    """Fill what stands behind the layers of a VGG that have weights, and say how; see `train.dirac`."""
    base = base_of(model, name)
    chosen = np.random.default_rng(recipe.seed).permutation(len(films))[:SPREAD_FILMS]
    images = model.get_layer("grey")(films.tensors[chosen].astype(np.float32))
    if recipe.members[name].missing == "dirac":
        pass_through(base, filled, np.asarray(images), recipe.seed)
        return "passes through (dirac)"
    scale_down(base, filled, np.asarray(images), recipe.seed)
    return "random, scaled down"


def start(recipe: Recipe, name: str, init: str, films: Dataset) -> tuple[Any, str]:
    """A fresh member with its initial weights, frozen and compiled; and what filled it.

    Args:
        recipe: Has the member.
        name: The member.
        init: See `Job`.
        films: To train on; `missing` other than random measures the spread of channels on a few of them.
    """
    member = recipe.members[name]
    weights: Literal["imagenet"] | None = (
        "imagenet" if init == "imagenet" and name != BASELINE else None
    )
    model = build_member(name, weights, recipe.dropout, member.strides)
    done = init
    if name == BASELINE:  # nobody publishes weights of it
        done = "none"
    elif init not in ("imagenet", "none"):
        filled = fill(base_of(model, name), name, init)
        done = f"none: no file for {name} in the folder" if filled is None else str(filled)
        if member.missing != "random" and filled is not None and not filled.whole:
            done += f", the rest {_fill_rest(model, recipe, name, filled.layers, films)}"
    if member.probe is not None:
        start_as_probe(model, name, films, recipe, member.probe)
        done += f", the head a linear probe of {member.probe} views"
    freeze(model, name, member.frozen_layers)
    compile_member(model, recipe, member)
    return model, done


def finish(model: Any, recipe: Recipe, name: str) -> Any:
    """The trained model in float32, without its optimizer."""
    keras.config.set_dtype_policy("float32")
    plain = build_member(name, None, recipe.dropout, recipe.members[name].strides)
    plain.set_weights(model.get_weights())
    return plain


def _open(
    folder: Path, recipe: Recipe, job: Job, known: History | None, films: Dataset
) -> tuple[Any, History]:
    """The model and history to go on with: the checkpoint's, or fresh ones."""
    if known is not None and (folder / CHECKPOINT).is_file():
        return load_checkpoint(folder / CHECKPOINT), known
    model, done = start(recipe, job.name, job.init, films)
    digest = training_digest(recipe, job.name)
    return model, History(member=job.name, recipe=digest, init=done, fold=job.fold, epochs=[])


def _teacher(run: Run, seen: Dataset, recipe: Recipe, job: Job) -> Teacher | None:
    """The fold's teacher, fitted once for all members; None where the recipe wants none."""
    if recipe.teacher is None:
        return None
    path = run.folder / f"teacher-{job.fold}.npz"
    if path.is_file():
        return load_teacher(path, recipe, job.init)
    teacher = fit_teacher(seen, recipe, job.init)
    with whole(path) as partial:
        save_teacher(teacher, recipe, partial)
    return teacher


def _train(model: Any, watch: _Fitting, epochs: int) -> None:
    """Train from the last finished epoch to the last one."""
    model.fit(
        watch.batches,
        epochs=epochs,
        initial_epoch=len(watch.history.epochs),
        callbacks=[watch],
        verbose=0,
        shuffle=False,
    )


def fit_member(
    run: Run,
    dataset: Dataset,
    recipe: Recipe,
    job: Job,
    report: Callable[[Progress], None],
) -> History:
    """Train one member, or go on with it, and predict the films that it did not see.

    Args:
        run: Has its `split.json`. Gains checkpoint, history, model and held_out.json of the member.
        dataset: Every film that may be trained on, as members see it.
        recipe: What to do.
        job: Which member, from what.
        report: Called after every batch.

    Raises:
        RecipeError: the run's checkpoint is of another recipe, a loss is no number, the disk is full.
    """
    name, fold = job.name, job.fold
    folder = run.member(name, fold)
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(job.precision)
    split = run.split()
    seen, held_out = split_fold(dataset, split.folds[0 if fold == ALL else int(fold)])
    seen = dataset if fold == ALL else seen
    epochs = recipe.members[name].epochs
    known = known_history(folder, run, recipe, name)
    if known is not None and len(known.epochs) >= epochs and (folder / MODEL).is_file():
        return known
    # Where a finished run is lengthened, its model must not pass for the longer one's.
    (folder / MODEL).unlink(missing_ok=True)
    batches = Batches(seen, recipe, _teacher(run, seen, recipe, job))
    with spread(job.distribute, recipe.batch_size):
        model, history = _open(folder, recipe, job, known, seen)
        if len(history.epochs) < epochs:
            monitor = monitored(held_out, recipe.monitor_images, recipe.seed)
            _train(model, _Fitting(run, history, recipe, batches, monitor, report), epochs)
        elif model.optimizer.use_ema:  # killed between the last checkpoint and the model
            swap_average(model)
    averaged = model.optimizer.use_ema
    model = finish(model, recipe, name)
    if averaged:
        freeze(model, name, recipe.members[name].frozen_layers)
        refresh_statistics(model, islice((batch[0] for batch in batches), STATISTICS_BATCHES))
        freeze(model, name, 0)
    if fold != ALL:
        place = folder.relative_to(run.folder)
        run.write(str(place / HELD_OUT), predict(model, held_out))
        under_stress = framed_films(stressed(held_out, recipe.seed), run.template())
        run.write(str(place / STRESSED), predict(model, under_stress))
    save_model(model, folder / MODEL)
    return history
