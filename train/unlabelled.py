"""Folders of radiographs without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.decode import SUFFIXES
from pneumo_edge.errors import DatasetError
from train.dataset import read_tensors


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Prepared films without labels."""

    names: tuple[str, ...]
    """Folder's own name and path below it; no path of the machine."""
    tensors: NDArray[np.uint8]
    """(n, 150, 150, 1), as `pneumo_edge.prepare` made them; held in memory alone."""
    folders: NDArray[np.int64]
    """(n,) number of the folder that each came from."""
    skipped: tuple[tuple[Path, str], ...] = field(default=())
    """Unreadable files, each with what was wrong."""

    def split(self, held_out: int, seed: int) -> tuple[Films, Films]:
        """(films to learn from, films held out): a seeded draw.

        Raises:
            DatasetError: fewer films than twice those held out.
        """
        if len(self) < 2 * held_out:
            raise DatasetError(
                f"{len(self)} unlabelled films, of which {held_out} are to be held out",
                "name further folders with --films, or lower monitor_images in a recipe of your own",
            )
        order = np.random.default_rng(seed).permutation(len(self))
        return self._subset(np.sort(order[held_out:])), self._subset(np.sort(order[:held_out]))

    def _subset(self, rows: NDArray[np.int64]) -> Films:
        return Films(tuple(self.names[i] for i in rows), self.tensors[rows], self.folders[rows])

    def digest(self, recipe: str) -> str:
        """Digest of a recipe's digest and the films' names."""
        return hashlib.sha256("\n".join([recipe, *self.names]).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.names)


def list_unlabelled(folder: Path) -> tuple[Path, ...]:
    """Every image below a folder, sorted; names that start with a dot are passed over.

    Raises:
        DatasetError: the folder is missing, holds no image, or holds a test split beside a train split:
            not even its unlabelled films may be learned from.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder", "name a folder of radiographs with --films")
    for test in _test_splits(folder):
        raise DatasetError(
            f"{test} is a test split, which no training may see", f"name {test.parent / 'train'}"
        )
    found = tuple(
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not found:
        raise DatasetError(f"{folder} holds no image", "name a folder of radiographs with --films")
    return found


def _test_splits(folder: Path) -> list[Path]:
    """The folder itself, one that holds it or one below it, where it is called test and a train stands beside it."""
    real = folder.resolve()
    candidates = [real, *real.parents, *(p for p in real.rglob("test") if p.is_dir())]
    return [p for p in candidates if p.name == "test" and (p.parent / "train").is_dir()]


def read_unlabelled(
    folders: Sequence[Path], progress: Callable[[int, int], None] | None = None
) -> Films:
    """Decode and prepare the films of folders.

    Args:
        folders: Each with images somewhere below it.
        progress: Called after every film with 1 and the number of all films.

    Raises:
        DatasetError: see `list_unlabelled`; or more than 3 % cannot be read.
    """
    listed = [
        (k, folder, path) for k, folder in enumerate(folders) for path in list_unlabelled(folder)
    ]
    step = None if progress is None else lambda n: progress(n, len(listed))
    kept, tensors, skipped = read_tensors([path for _, _, path in listed], step)
    names = []
    for k, folder, path in (listed[i] for i in kept):
        names.append(f"{k}/{folder.resolve().name}/{path.relative_to(folder).as_posix()}")
    numbers = np.array([listed[i][0] for i in kept], dtype=np.int64)
    return Films(tuple(names), tensors, numbers, skipped)
