"""Pre-training: a member learns a teacher's features from radiographs without labels.

Source: A. Romero et al., "FitNets", 2015 (features as hints); L. Beyer et al., "Knowledge distillation: A good
teacher is patient and consistent", 2022 (teacher and student see the same view).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import Struct
from train.averaging import STATISTICS_BATCHES, refresh_statistics
from train.batches import Views
from train.checkpoint import CHECKPOINT, HISTORY, archived_history, load_checkpoint, save_model
from train.distil import TEACHER, TERMS, build_distiller, level, mean_mismatch, measure_teacher
from train.distribute import spread
from train.members import GREY_MEAN, GREY_SCALE, build_base
from train.options import pretraining_of
from train.recipe import MemberRecipe, Pretraining, Recipe
from train.run import Run
from train.unlabelled import Films
from train.watch import DIVERGED, Progress, Watch
from train.weights import fill, save_base

STATISTICS_IMAGES = 256
"""Views on which the teacher's maps are measured; a mean of that many moves by a sixteenth of a deviation."""


class Epoch(Struct, frozen=True):
    """One epoch of pre-training."""

    epoch: int
    """From 1."""
    learning_rate: float
    loss: float
    explained: dict[str, float]
    """Of the teacher's variance on films that are held out, by `TERMS`; 1 is all of it."""
    seconds: float


class Pretrained(Struct, frozen=True):
    """How a member was pre-trained."""

    member: str
    recipe: str
    """Digest of recipe and films."""
    teacher: str
    """Its weights' file."""
    init: str
    """What filled the student's first layers."""
    films: int
    epochs: list[Epoch]


@dataclass(frozen=True, slots=True)
class PretrainJob:
    """One pre-training: which member, from which weights."""

    name: str
    init: str
    """A file or folder with the teacher's weights and, for a VGG, those of its frozen layers."""
    precision: str = "float32"
    """A Keras dtype policy: float32 or mixed_bfloat16."""
    distribute: str = "none"
    """Devices to train on; see `train.distribute`."""


class _Pretraining(Watch):
    """Records and checkpoints each epoch."""

    def __init__(
        self,
        folder: Path,
        history: Pretrained,
        recipe: MemberRecipe,
        batches: Views,
        held_out: NDArray[np.float32],
        report: Callable[[Progress], None],
    ) -> None:
        super().__init__(history.member, "pretraining", recipe, batches, report)
        self._folder = folder
        self._history = history
        self._held_out = held_out

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure what is explained, record the epoch and checkpoint it."""
        seconds = self.seconds()
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        got = explained(self.model, self._held_out)
        past = Epoch(
            epoch=epoch + 1,
            learning_rate=rate,
            loss=float(logs["loss"]),
            explained=got,
            seconds=seconds,
        )
        if not np.isfinite(list(got.values())).all():
            raise RecipeError(
                f"{self._history.member} gives features that are no numbers after epoch {epoch + 1}",
                DIVERGED,
            )
        self._history.epochs.append(past)
        save_model(self.model, self._folder / CHECKPOINT, self._history)


def explained(distiller: Any, images: NDArray[np.float32]) -> dict[str, float]:
    """What the student explains of the teacher's variance, by term; 0 is what the mean film would."""
    missing = distiller.predict(images, batch_size=16, verbose=0).mean(axis=0)
    return {term: float(1 - miss) for term, miss in zip(TERMS, missing, strict=True)}


def _teacher(init: str) -> tuple[Any, str]:
    """The teacher's base, and the file that it came from.

    Raises:
        RecipeError: there are no weights of it.
    """
    teacher = build_base(TEACHER, None, "v1.5")
    filled = fill(teacher, TEACHER, init)
    if filled is None:
        raise RecipeError(
            f"{init} has no weights of the teacher, {TEACHER}",
            "name a folder that has them as --init",
        )
    return teacher, filled.file.name


def _student(name: str, init: str, frozen: int, images: NDArray[np.float32]) -> tuple[Any, str]:
    """The student's base with its first layers filled and frozen, and what filled them.

    Raises:
        RecipeError: a layer is to be frozen that nothing fills, or the file fills the whole base.
    """
    base = build_base(name, None)
    filled = fill(base, name, init)
    known = set(filled.layers) if filled is not None else set()
    for index, layer in enumerate(base.layers):
        layer.trainable = index >= frozen
        # A file of VGG19's first blocks fills VGG16's too, which has the same but fewer layers.
        if not layer.trainable and layer.weights and layer.name not in known:
            raise RecipeError(
                f"{frozen} layers of {name} are to be frozen, but nothing in {init} fills {layer.name}",
                "name a folder that has them as --init, or set frozen_layers to 0 in a recipe of your own",
            )
    if name.startswith("vgg"):
        convolutions = [layer for layer in base.layers if layer.weights]
        level(base, sum(layer.name in known for layer in convolutions), as_base(name, images))
    return base, "none" if filled is None else str(filled)


def start(pretraining: Pretraining, job: PretrainJob, views: Views) -> tuple[Any, str, str]:
    """A fresh distiller, compiled; the teacher's file; and what filled the student's first layers."""
    member = pretraining.members[job.name]
    teacher, file = _teacher(job.init)
    count = -(-STATISTICS_IMAGES // pretraining.batch_size)
    images = np.concatenate([batch[0] for batch in islice(views, count)])
    student, done = _student(job.name, job.init, member.frozen_layers, images[:16])
    model = build_distiller(student, job.name, teacher)
    measure_teacher(model, images)
    model.compile(
        keras.optimizers.AdamW(member.learning_rate, weight_decay=pretraining.weight_decay),
        mean_mismatch,
    )
    return model, file, done


def known_pretraining(folder: Path, digest: str, name: str) -> Pretrained | None:
    """What the last checkpoint says of itself, or None.

    Raises:
        RecipeError: it is damaged, of another member, or of another recipe or other films.
    """
    history = archived_history(folder / CHECKPOINT, Pretrained)
    if history is not None and (history.recipe != digest or history.member != name):
        raise RecipeError(
            f"{folder} holds a {history.member} that was pre-trained by another recipe or on other films",
            "name another folder with --out, or remove that one",
        )
    return history


def pretrain_member(
    out: Path, films: Films, recipe: Recipe, job: PretrainJob, report: Callable[[Progress], None]
) -> Pretrained:
    """Pre-train one member, or go on with it, and write its base's weights.

    Args:
        out: Gains `<member>/checkpoint.keras`, `<member>/history.json` and `<member>.weights.h5`, which
            `train.weights.fill` finds there.
        films: Without labels.
        recipe: Has a part for pre-training.
        job: Which member, from what.
        report: Called after every batch.

    Raises:
        RecipeError: the recipe does not pre-train it, weights are missing, a loss is no number, the disk
            is full, or the folder holds another pre-training.
    """
    pretraining = pretraining_of(recipe, (job.name,))
    member, folder = pretraining.members[job.name], out / job.name
    digest = films.digest(pretraining_digest(recipe, job.name))
    known = known_pretraining(folder, digest, job.name)
    weights = out / f"{job.name}.weights.h5"
    if known is not None and len(known.epochs) >= member.epochs and weights.is_file():
        return known
    weights.unlink(missing_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    keras.config.set_dtype_policy(job.precision)
    seen, held_out = films.split(pretraining.monitor_images, recipe.seed)
    views = Views(seen.tensors, seen.folders, recipe, pretraining)
    with spread(job.distribute, pretraining.batch_size):
        if known is not None:
            model, history = load_checkpoint(folder / CHECKPOINT), known
        else:
            model, teacher, init = start(pretraining, job, views)
            history = Pretrained(
                member=job.name,
                recipe=digest,
                teacher=teacher,
                init=init,
                films=len(films),
                epochs=[],
            )
        if len(history.epochs) < member.epochs:
            images = held_out.tensors.astype(np.float32)
            watch = _Pretraining(folder, history, member, views, images, report)
            model.fit(
                views,
                epochs=member.epochs,
                initial_epoch=len(history.epochs),
                callbacks=[watch],
                verbose=0,
                shuffle=False,
            )
    keras.config.set_dtype_policy("float32")
    plain = build_base(job.name, None)
    plain.set_weights(model.get_layer("student").get_weights())
    _settle(plain, job.name, member.frozen_layers, views)
    Run(out).write(f"{job.name}/{HISTORY}", history)
    save_base(plain, weights, note(history, pretraining))
    return history


def _settle(base: Any, name: str, frozen: int, views: Views) -> None:
    """Measure the batch statistics that belong to the last weights."""
    for layer in base.layers[:frozen]:
        layer.trainable = False
    images = (batch[0] for batch in islice(views, STATISTICS_BATCHES))
    refresh_statistics(base, (as_base(name, batch) for batch in images))


def as_base(name: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 150, 150, 1) grey levels to what a member's base takes, (n, 150, 150, 3)."""
    return np.repeat((images - GREY_MEAN[name]) * GREY_SCALE[name], 3, axis=-1)


def note(history: Pretrained, pretraining: Pretraining) -> str:
    """One line on where the weights come from, which the record of a run quotes."""
    images = len(history.epochs) * pretraining.images_per_epoch
    return (
        f"pre-trained on {history.films} unlabelled films ({images} views) with the features of "
        f"{TEACHER} ({history.teacher}) as targets; before: {history.init}"
    )


def pretraining_digest(recipe: Recipe, name: str) -> str:
    """Digest of what shapes a member's pre-training; other members' values and the fit do not touch it."""
    pretraining = pretraining_of(recipe, (name,))
    alone = msgspec.structs.replace(pretraining, members={name: pretraining.members[name]})
    values = (alone, recipe.augmentation, recipe.seed)
    return hashlib.sha256(msgspec.json.encode(values)).hexdigest()
