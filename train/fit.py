"""Train one member on all folds but one: killed at any time, it goes on from its last epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import msgspec
import numpy as np
from sklearn.metrics import roc_auc_score

from pneumo_edge.errors import RecipeError
from train.batches import Batches
from train.dataset import LABELS, Dataset, Film
from train.members import build_member, freeze
from train.recipe import BASELINE, MemberRecipe, Recipe
from train.run import Epoch, History, Predictions, Run
from train.schedule import rate
from train.weights import initialise

ALL = "all"
"""The fold that holds nothing out: the model trained on every film."""

CHECKPOINT = "checkpoint.keras"
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


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands, for whoever shows it."""

    member: str
    fold: str
    epoch: int
    """From 1."""
    epochs: int
    batch: int
    """From 1."""
    batches: int
    loss: float
    """Mean of the epoch so far."""


def film_id(film: Film) -> str:
    """Class folder/file name: names a film without a path of the machine."""
    return f"{LABELS[film.label]}/{film.path.name}"


def split_fold(dataset: Dataset, held_out: list[str]) -> tuple[Dataset, Dataset]:
    """(films to train on, films held out)."""
    names = set(held_out)
    outside = [i for i, film in enumerate(dataset.films) if film_id(film) not in names]
    inside = [i for i, film in enumerate(dataset.films) if film_id(film) in names]
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
        films=[film_id(film) for film in dataset.films],
        patients=[film.patient for film in dataset.films],
        labels=[film.label for film in dataset.films],
        probabilities=[float(p) for p in probabilities],
    )


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
        metrics=[keras.metrics.BinaryAccuracy(name="accuracy")],
        weighted_metrics=[],
    )


class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no type stubs
    """Sets the rate, records each epoch, checkpoints it, and stops where the loss is no number."""

    def __init__(
        self,
        run: Run,
        history: History,
        recipe: Recipe,
        monitor: Dataset,
        report: Callable[[Progress], None],
    ) -> None:
        super().__init__()
        self._run = run
        self._folder = run.member(history.member, history.fold)
        self.history = history
        self._recipe = recipe.members[history.member]
        self._epochs = self._recipe.epochs
        self._monitor = monitor
        self._report = report
        self._epoch = len(history.epochs)
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Start the epoch's clock."""
        self._epoch = epoch
        self._started = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # as above
        """Set this step's learning rate."""
        step = self._epoch * self.params["steps"] + batch
        losses = [past.val_loss for past in self.history.epochs]
        self.model.optimizer.learning_rate = rate(self._recipe, losses, step)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Report, and refuse to go on from a loss that is no number."""
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise RecipeError(
                f"loss is {loss} in epoch {self._epoch + 1}, batch {batch + 1} of {self.history.member}",
                "lower the learning rate, and run again: the last checkpoint is from the epoch before",
            )
        name, fold = self.history.member, self.history.fold
        self._report(
            Progress(
                name, fold, self._epoch + 1, self._epochs, batch + 1, self.params["steps"], loss
            )
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Record the epoch and checkpoint it: first the weights, then the history that vouches for them."""
        seconds = time.monotonic() - self._started
        swap = self.model.optimizer.use_ema
        if swap:
            _swap_average(self.model)
        got = predict(self.model, self._monitor)
        if swap:
            _swap_average(self.model)
        labels, p = np.array(got.labels), np.clip(got.probabilities, 1e-7, 1 - 1e-7)
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
        save_model(self.model, self._folder / CHECKPOINT)
        self._run.write(
            str(self._folder.relative_to(self._run.folder) / "history.json"), self.history
        )


def _swap_average(model: Any) -> None:
    """Exchange the weights with their moving averages; twice is nothing."""
    # Keras' SwapEMAWeights reads the same list; there is no public name for it.
    averages = model.optimizer._model_variables_moving_average  # noqa: SLF001
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        value = keras.ops.copy(weight.value)
        weight.assign(average)
        average.assign(value)


def save_model(model: Any, path: Path) -> None:
    """Write a model; where that fails, what was there before stays.

    Raises:
        RecipeError: the disk is full or the folder cannot be written.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        model.save(partial)
        partial.replace(path)
    except OSError as err:
        partial.unlink(missing_ok=True)
        raise RecipeError(
            f"{path} cannot be written: {err.strerror or err}",
            "make room and run again: the last good checkpoint stays",
        ) from err


def resume(folder: Path, run: Run, recipe: Recipe, name: str) -> tuple[Any, History] | None:
    """The checkpoint of an earlier, unfinished training, or None.

    Raises:
        RecipeError: it was made by another recipe, or is not of this member.
    """
    if not (folder / CHECKPOINT).is_file() or not (folder / "history.json").is_file():
        return None
    history = run.read(str(folder.relative_to(run.folder) / "history.json"), History)
    if history.recipe != training_digest(recipe, name) or history.member != name:
        raise RecipeError(
            f"{folder} holds a {history.member} of another recipe",
            "name another run folder with --run, or remove that one",
        )
    try:
        return keras.models.load_model(folder / CHECKPOINT), history
    except (ValueError, OSError, TypeError) as err:
        raise RecipeError(
            f"{folder / CHECKPOINT}: {err}", "remove it to start this member anew"
        ) from None


def training_digest(recipe: Recipe, name: str) -> str:
    """Digest of what shapes a member's training, but not of how long it lasts.

    A run may be lengthened by raising `epochs`, and other members' values do not touch it.
    """
    member = msgspec.structs.replace(recipe.members[name], epochs=1)
    return msgspec.structs.replace(recipe, members={name: member}).digest


def start(recipe: Recipe, name: str, init: str) -> tuple[Any, str]:
    """A fresh member with its initial weights, frozen and compiled; and what filled it."""
    member = recipe.members[name]
    weights: Literal["imagenet"] | None = (
        "imagenet" if init == "imagenet" and name != BASELINE else None
    )
    model = build_member(name, weights, recipe.dropout, member.strides)
    done = init
    if init not in ("imagenet", "none") and name != BASELINE:
        done = initialise(model, name, init)
    freeze(model, name, member.frozen_layers)
    compile_member(model, recipe, member)
    return model, done


def finish(model: Any, recipe: Recipe, name: str) -> Any:
    """The trained model in float32, without its optimizer."""
    keras.config.set_dtype_policy("float32")
    plain = build_member(name, None, recipe.dropout, recipe.members[name].strides)
    plain.set_weights(model.get_weights())
    return plain


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
        dataset: Every film that may be trained on.
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
    found = resume(folder, run, recipe, name)
    if found is not None:
        model, history = found
        # A loaded model trains all layers that were trainable; freezing is not part of the file.
        freeze(model, name, recipe.members[name].frozen_layers)
    else:
        model, done = start(recipe, name, job.init)
        history = History(
            member=name, recipe=training_digest(recipe, name), init=done, fold=fold, epochs=[]
        )
    done_epochs, epochs = len(history.epochs), recipe.members[name].epochs
    if done_epochs < epochs:
        monitor = monitored(held_out, recipe.monitor_images, recipe.seed)
        watch = Watch(run, history, recipe, monitor, report)
        model.fit(
            Batches(seen, recipe, done_epochs),
            epochs=epochs,
            initial_epoch=done_epochs,
            callbacks=[watch],
            verbose=0,
            shuffle=False,
        )
    elif (folder / MODEL).is_file():
        return history
    elif model.optimizer.use_ema:  # killed between the last checkpoint and the model
        _swap_average(model)
    model = finish(model, recipe, name)
    if fold != ALL:
        run.write(str(folder.relative_to(run.folder) / "held_out.json"), predict(model, held_out))
    save_model(model, folder / MODEL)
    return history
