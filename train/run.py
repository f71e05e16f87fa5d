"""A run's folder: what training leaves behind, and where."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from pneumo_edge.errors import RecipeError
from pneumo_edge.framing import FILE as TEMPLATE
from pneumo_edge.framing import Template, decode_template
from pneumo_edge.manifest import Figures, Struct
from train.recipe import Recipe, Validation

T = TypeVar("T")

ALL = "all"
"""The fold that holds nothing out: the model trained on every film."""


HELD_OUT = "held_out.json"
"""A member's predictions of the films that its fold holds out."""

STRESSED = "stressed.json"
"""Its predictions of the same films under stress; see `train.stress`."""

PARTIAL = ".partial."
"""In the name of a file that is not whole yet; a kill may leave one behind."""


class Epoch(Struct, frozen=True):
    """One epoch of training."""

    epoch: int
    """From 1."""
    learning_rate: float
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_auc: float
    seconds: float


class History(Struct, frozen=True):
    """How a member came about."""

    member: str
    recipe: str
    """Digest of the recipe."""
    init: str
    fold: str
    epochs: list[Epoch]


class Split(Struct, frozen=True):
    """Which films were held out of what."""

    data: str
    """The data folder's own name; no path of the machine."""
    films: int
    patients: int
    patient_pattern: str
    seed: int
    folds: list[list[str]]
    """For each fold the films that it holds out, as class folder/file name."""
    source: str = ""
    """Where the films come from and under what licence, as the user told it; for the model card."""
    method: Validation = "patient"
    """How the folds were drawn; see `train.folds`."""


class Predictions(Struct, frozen=True):
    """A model's probabilities, film by film."""

    films: list[str]
    """class folder/file name"""
    patients: list[str]
    labels: list[int]
    probabilities: list[float]


class Fusion(Struct, frozen=True):
    """The fusion that linear regression found, and the thresholds that go with it."""

    weights: dict[str, float]
    """a_i by member, in the order of x1 to x4."""
    bias: float
    operating_points: dict[str, float]
    films: int
    """Out-of-fold films that it was fitted on; each counts once."""
    folds: list[str]
    out_of_fold: list[Figures]
    """Of the members and the fusion, on those films; optimistic for the fusion, which was fitted there."""
    method: Literal["ols", "shrunken"] = "ols"
    """Ordinary least squares, as in the paper, or drawn towards equal weights."""
    shrinkage: float = 0.0
    """How strongly; 0 is not at all."""
    stressed: bool = False
    """Each film was there twice, as it is and under stress; so are the figures of `out_of_fold`."""


class Run:
    """The files of one run, by name. Every write is whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def member(self, name: str, fold: str) -> Path:
        """Folder of one member trained without one fold ("0", "1", ... or "all")."""
        return self.folder / name / f"fold-{fold}"

    def folds_of(self, name: str) -> list[str]:
        """Folds for which the member has been trained to the end; "all" last."""
        found = (self.folder / name).glob("fold-*/model.keras")
        folds = {path.parent.name.removeprefix("fold-") for path in found}
        numbers = sorted((fold for fold in folds if fold.isdecimal()), key=int)
        return [*numbers, ALL] if ALL in folds else numbers

    def model_path(self, name: str) -> Path:
        """The model that ships: trained on all films where there is one, else the lowest fold's.

        Raises:
            RecipeError: the member has not been trained.
        """
        trained = self.folds_of(name)
        if not trained:
            raise RecipeError(
                f"run {self.folder} has no trained {name}",
                f"run `pneumo-edge train fit --member {name}` to its end",
            )
        return self.member(name, ALL if ALL in trained else trained[0]) / "model.keras"

    def recipe(self) -> Recipe:
        """The recipe that the run was started with."""
        return self.read("recipe.json", Recipe)

    def fusion(self) -> Fusion:
        """What `train fuse` found."""
        return self.read("fusion.json", Fusion, "run `pneumo-edge train fuse` first")

    def template(self) -> Template | None:
        """What its films are framed by; None where its members see whole films.

        Raises:
            RecipeError: the file is damaged.
        """
        path = self.folder / TEMPLATE
        if not path.is_file():
            return None
        try:
            return decode_template(path.read_bytes())
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
            raise RecipeError(
                f"{path} cannot be read: {err}", "restore the file, or start the run anew"
            ) from None

    def split(self) -> Split:
        """Which films each fold holds out."""
        return self.read("split.json", Split)

    def read(
        self, name: str, kind: type[T], remedy: str = "start the run with `pneumo-edge train fit`"
    ) -> T:
        """A JSON file of the run.

        Raises:
            RecipeError: it is not there, or is not what it should be.
        """
        path = self.folder / name
        if not path.is_file():
            raise RecipeError(f"run {self.folder} has no {name}", remedy)
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except msgspec.DecodeError as err:
            raise RecipeError(f"{path}: {err}", "restore the file, or start the run anew") from None

    def write(self, name: str, value: object) -> Path:
        """Write a JSON file of the run.

        Raises:
            RecipeError: the disk is full or the folder cannot be written.
        """
        path = self.folder / name
        text = msgspec.json.format(msgspec.json.encode(value), indent=1)
        with whole(path) as partial:
            partial.write_bytes(text + b"\n")
        return path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Write a file of a run whole or not at all: where that fails, what was there before stays.

    Yields:
        A path beside it, of the same suffixes, that is renamed to `path` at the end.

    Raises:
        RecipeError: the disk is full or the folder cannot be written.
    """
    stem, _, suffixes = path.name.partition(".")
    partial = path.with_name(f"{stem}{PARTIAL}{suffixes}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (OSError, RuntimeError) as err:  # h5py raises RuntimeError where a write fails
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        why = (err.strerror if isinstance(err, OSError) else None) or " ".join(str(err).split())
        raise RecipeError(
            f"{path} cannot be written: {why}",
            "make room, or name a folder that is writable; then run again: the last good one stays",
        ) from err
