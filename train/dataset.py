"""A folder of labelled radiographs, with the patient behind each film."""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.decode import SUFFIXES, decode_file
from pneumo_edge.errors import DatasetError, PneumoEdgeError
from pneumo_edge.prepare import prepare
from pneumo_edge.types import SIDE, Label

LABELS: tuple[Label, Label] = ("normal", "pneumonia")
"""A film's `label` is an index into these; its class folder is the name in any case."""

KERMANY = r"^(?:person(?P<person>\d+)_(?P<kind>virus|bacteria)|(?P<series>(?:NORMAL2-)?IM)-(?P<number>\d+))[-_]"
"""File names of the Kermany set: the patient is (virus|bacteria, person) or (IM|NORMAL2-IM, number)."""

MAX_UNREADABLE = 0.03
"""Fraction of unreadable films above which a folder is refused: more is no accident."""

NAMELESS = "file:"
"""Begins the key of a film whose name tells no patient: it is a patient of its own."""


@dataclass(frozen=True, slots=True)
class Film:
    """One labelled file."""

    path: Path
    label: int
    """0 normal, 1 pneumonia."""
    patient: str
    """Films that share it never end up on two sides of a split."""
    name: str
    """Path below the class folder, with forward slashes."""

    @property
    def id(self) -> str:
        """Class/name: names a film without a path of the machine."""
        return f"{LABELS[self.label]}/{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled films with their prepared tensors."""

    films: tuple[Film, ...]
    tensors: NDArray[np.uint8]
    """(n, 150, 150, 1), as `pneumo_edge.prepare` made them."""
    skipped: tuple[tuple[Path, str], ...] = field(default=())
    """Unreadable files, each with what was wrong."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) of 0 and 1."""
        return np.array([film.label for film in self.films], dtype=np.int64)

    @property
    def patients(self) -> NDArray[np.str_]:
        """(n,) patient keys."""
        return np.array([film.patient for film in self.films])

    def subset(self, indices: Iterable[int]) -> Dataset:
        """The films at `indices`, in that order."""
        rows = list(indices)
        return Dataset(tuple(self.films[i] for i in rows), self.tensors[rows])

    def __len__(self) -> int:
        return len(self.films)


def kermany_folder(data: Path | None) -> Path:
    """The data folder that was named, or the default."""
    return data if data is not None else default_data_dir() / "kermany"


def default_data_dir() -> Path:
    """Where the shared data set lies: `PNEUMO_EDGE_DATA`, or ../shared/data beside the checkout."""
    return Path(os.environ.get("PNEUMO_EDGE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def patient_key(name: str, pattern: str = KERMANY) -> str | None:
    """The patient that a file name tells.

    Args:
        name: The file's name, without folders.
        pattern: A regular expression; its groups that matched, joined by "-", are the key.

    Returns:
        The key, or None where the name does not match.
    """
    match = re.match(pattern, name)
    if match is None:
        return None
    return "-".join(group for group in match.groups() if group is not None) or match.group(0)


def list_films(folder: Path, pattern: str = KERMANY) -> tuple[Film, ...]:
    """The films of a folder with one sub-folder per class.

    Args:
        folder: Holds `normal` and `pneumonia`, in any case.
        pattern: See `patient_key`. A name that does not match is a patient of its own.

    Returns:
        In the order of class and file name.

    Raises:
        DatasetError: the folder or a class is missing or empty, or the pattern is no regular expression.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder", "name a folder with normal/ and pneumonia/")
    try:
        re.compile(pattern)
    except re.error as err:
        raise DatasetError(
            f"patient pattern {pattern!r}: {err}", "pass a regular expression"
        ) from None
    by_name = {child.name.lower(): child for child in folder.iterdir() if child.is_dir()}
    films: list[Film] = []
    for label, name in enumerate(LABELS):
        if name not in by_name:
            raise DatasetError(
                f"{folder} has no class folder {name}", f"put the {name} films there"
            )
        here = _class_films(by_name[name], label, pattern)
        if not here:
            raise DatasetError(f"{by_name[name]} holds no image", f"put the {name} films there")
        films += here
    return tuple(films)


def _class_films(folder: Path, label: int, pattern: str) -> list[Film]:
    """The films of one class, sorted by path; names that start with a dot are passed over."""
    films = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        # A Mac leaves a "._name.jpeg" beside every file of an archive that it packs.
        if any(part.startswith(".") for part in inside.parts) or path.is_dir():
            continue
        if path.suffix.lower() in SUFFIXES:
            key = patient_key(path.name, pattern)
            # Names such as 001.png come in both classes, and in every split.
            alone = f"{NAMELESS}{LABELS[label]}/{inside.as_posix()}"
            films.append(Film(path, label, alone if key is None else key, inside.as_posix()))
    return films


def refuse_contradictions(films: Sequence[Film]) -> None:
    """Refuse one image under two labels.

    Raises:
        DatasetError: names both files.
    """
    seen: dict[str, Film] = {}
    for film in films:
        try:
            digest = hashlib.sha256(film.path.read_bytes()).hexdigest()
        except OSError:
            continue  # unreadable: `load` lists it
        other = seen.setdefault(digest, film)
        if other.label != film.label:
            raise DatasetError(
                f"{other.path} ({LABELS[other.label]}) and {film.path} ({LABELS[film.label]}) are the same image",
                "remove the one with the wrong label",
            )


def refuse_shared_patients(
    one: Sequence[Film], other: Sequence[Film], names: tuple[str, str]
) -> None:
    """Refuse a patient on both sides of a split.

    Films whose names tell no patient are only refused where they are the same file.

    Raises:
        DatasetError: names a patient and a film of each side.
    """
    known = {film.patient: film for film in one}
    for film in other:
        twin = known.get(film.patient)
        if twin is None or (film.patient.startswith(NAMELESS) and _differ(twin.path, film.path)):
            continue
        raise DatasetError(
            f"patient {film.patient} is in {names[0]} ({twin.path.name}) "
            f"and in {names[1]} ({film.path.name})",
            "keep each patient on one side, or pass the --patient pattern that fits the file names",
        )


def _differ(one: Path, other: Path) -> bool:
    """Whether two files have different contents; one that cannot be read differs from any."""
    try:
        return not filecmp.cmp(one, other, shallow=False)
    except OSError:
        return True  # `load` lists it


def read_tensors(
    paths: Sequence[Path], progress: Callable[[int], None] | None = None
) -> tuple[tuple[int, ...], NDArray[np.uint8], tuple[tuple[Path, str], ...]]:
    """Decode and prepare files.

    Args:
        paths: What to read; unreadable ones are skipped and listed.
        progress: Called with 1 after every file.

    Returns:
        Indices of those that were read, their tensors (n, 150, 150, 1), and the skipped ones with what
        was wrong.

    Raises:
        DatasetError: more than 3 % cannot be read.
    """

    def one(path: Path) -> NDArray[np.uint8] | str:
        try:
            return np.asarray(prepare(decode_file(path)).pixels[0])
        except PneumoEdgeError as err:
            return err.what
        finally:
            if progress is not None:
                progress(1)

    with ThreadPoolExecutor() as pool:  # the decoders release the interpreter lock
        results = list(pool.map(one, paths))
    skipped = tuple((p, r) for p, r in zip(paths, results, strict=True) if isinstance(r, str))
    if len(skipped) > MAX_UNREADABLE * len(paths):
        raise DatasetError(
            f"{len(skipped)} of {len(paths)} films cannot be read, the first: {skipped[0][1]}",
            f"repair or remove them; up to {MAX_UNREADABLE:.0%} are skipped",
        )
    kept = [(i, r) for i, r in enumerate(results) if not isinstance(r, str)]
    tensors = np.stack([r for _, r in kept]) if kept else np.empty((0, SIDE, SIDE, 1), np.uint8)
    return tuple(i for i, _ in kept), tensors, skipped


def load(films: Sequence[Film], progress: Callable[[int], None] | None = None) -> Dataset:
    """Decode and prepare every film; see `read_tensors`.

    Raises:
        DatasetError: more than 3 % cannot be read, or one image stands under two labels.
    """
    refuse_contradictions(films)
    kept, tensors, skipped = read_tensors([film.path for film in films], progress)
    return Dataset(tuple(films[i] for i in kept), tensors, skipped)


def training_films(data: Path, pattern: str = KERMANY) -> tuple[Film, ...]:
    """All films that may be trained on: `train` and, where there is one, `val`.

    The Kermany set's official validation split has 16 films, too few to validate on; the folds that
    `train.folds` cuts take its place. A folder that has the classes at its top is taken whole.

    Raises:
        DatasetError: see `list_films`; a patient of `test` is among them; or a file name comes twice
            in a class.
    """
    if not (data / "train").is_dir():
        return list_films(data, pattern)
    films = list_films(data / "train", pattern)
    if (data / "val").is_dir():
        known = {film.id for film in films}
        for film in list_films(data / "val", pattern):
            if film.id in known:
                raise DatasetError(
                    f"{film.id} is in both train and val of {data}", "rename or remove one of them"
                )
            films += (film,)
    if (data / "test").is_dir():
        refuse_shared_patients(films, list_films(data / "test", pattern), ("train", "test"))
    return films
