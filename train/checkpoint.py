"""A member's checkpoint: weights, optimizer and history in one file, that a kill cannot tear apart."""

from __future__ import annotations

import errno
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import msgspec

from pneumo_edge.errors import RecipeError
from train.recipe import Cosine, Recipe
from train.run import History, Run, T, whole

CHECKPOINT = "checkpoint.keras"
HISTORY = "history.json"
"""Beside the checkpoint for people, and inside its archive to resume from: one file, one moment."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def save_model(model: Any, path: Path, history: msgspec.Struct | None = None) -> None:
    """Write a model; where that fails, what was there before stays.

    Args:
        model: With its optimizer, if it has one.
        path: A .keras file.
        history: Put inside the archive, so that weights and history cannot disagree.

    Raises:
        RecipeError: the disk is full or the folder cannot be written.
    """
    with whole(path) as partial:
        model.save(partial)
        if history is not None:
            with zipfile.ZipFile(partial, "a") as archive:
                archive.writestr(HISTORY, msgspec.json.encode(history))


def known_history(folder: Path, run: Run, recipe: Recipe, name: str) -> History | None:
    """What the last checkpoint says of itself, or None where there is nothing to go on from.

    Raises:
        RecipeError: it was made by another recipe, is not of this member, or is damaged.
    """
    if not (folder / HISTORY).is_file() and not (folder / CHECKPOINT).is_file():
        return None
    history = archived_history(folder / CHECKPOINT, History)
    if history is None:
        if not (folder / HISTORY).is_file():
            return None
        history = run.read(str(folder.relative_to(run.folder) / HISTORY), History)
    if history.recipe != training_digest(recipe, name) or history.member != name:
        raise RecipeError(
            f"{folder} holds a {history.member} of another recipe",
            "name another run folder with --run, or remove that one",
        )
    return history


def archived_history(checkpoint: Path, kind: type[T]) -> T | None:
    """The history inside a checkpoint; None where there is no checkpoint, or it has none.

    Raises:
        RecipeError: the file is damaged.
    """
    if not checkpoint.is_file():
        return None
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            if HISTORY not in archive.namelist():
                return None
            return msgspec.json.decode(archive.read(HISTORY), type=kind)
    except (OSError, zipfile.BadZipFile, zlib.error, msgspec.DecodeError) as err:
        raise _damaged(checkpoint, err) from None


def _damaged(checkpoint: Path, err: Exception) -> RecipeError:
    why = " ".join(str(err).split())  # Keras' messages run over several lines
    return RecipeError(f"{checkpoint} cannot be read: {why}", "remove it to start this member anew")


def load_checkpoint(checkpoint: Path) -> Any:
    """The model as it was when it was checkpointed, with its optimizer and its frozen layers.

    Raises:
        RecipeError: the file is damaged.
    """
    try:
        return keras.models.load_model(checkpoint)
    except (ValueError, OSError, TypeError, KeyError, zipfile.BadZipFile, zlib.error) as err:
        if isinstance(err, OSError) and err.errno in _NO_ROOM:  # Keras unpacks it beside itself
            raise RecipeError(f"{checkpoint} cannot be unpacked: {err}", "make room") from None
        raise _damaged(checkpoint, err) from None


def training_digest(recipe: Recipe, name: str) -> str:
    """Digest of what shapes a member's training, but not of how long it lasts.

    A run may be lengthened by raising `epochs`, unless its rate is a cosine over them. Other members' values
    do not touch it, nor do the fusion and pretraining, which the history tells of in `init`.
    """
    member = recipe.members[name]
    if not isinstance(member.schedule, Cosine):  # its rate falls towards the last epoch
        member = msgspec.structs.replace(member, epochs=1)
    return msgspec.structs.replace(
        recipe, members={name: member}, pretraining=None, fusion="ols", fuse_stressed=False
    ).digest
