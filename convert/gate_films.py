"""The films that the gate is fitted on: the training films, and others without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import DatasetError
from train.dataset import Film, read_tensors
from train.unlabelled import list_unlabelled

LIMIT = 4000
"""Films of a source, at most: more of them do not move a threshold."""
LEAST = 20
"""Films of a source, at least. With fewer than some hundred the one of them that is farthest sets the threshold."""
HELD_OUT = 1 / 3
"""Share of a source's patients on which thresholds are chosen."""
BESIDE = "pretrain"
"""Folder beside the data set whose folders are taken where none is named."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Films from one place, in two parts that share no patient."""

    name: str
    fit: NDArray[np.uint8]
    """(n, 150, 150, 1)."""
    held_out: NDArray[np.uint8]
    """(m, 150, 150, 1)."""


def beside(data: Path) -> tuple[Path, ...]:
    """The folders of unlabelled films that lie beside a data set: none, if there are none."""
    place = data.resolve().parent / BESIDE
    return (
        tuple(sorted(child for child in place.iterdir() if child.is_dir()))
        if place.is_dir()
        else ()
    )


def read_sources(
    films: Sequence[Film],
    folders: Sequence[Path],
    seed: int,
    progress: Callable[[str, int], Callable[[int], None]],
) -> list[Source]:
    """Draw, decode and prepare.

    Args:
        films: The training films.
        folders: Of frontal chest radiographs without labels; not of a test split.
        seed: Of the draw.
        progress: See `convert.conversion`.

    Raises:
        DatasetError: a source has too few films, or its folder is a test split or unreadable.
    """
    listed = [("train", [film.path for film in films], [film.patient for film in films])]
    for folder in folders:
        paths = list(list_unlabelled(folder))
        listed.append((folder.resolve().name, paths, [path.name for path in paths]))
    sources = []
    for name, paths, patients in listed:
        if len(paths) < LEAST:
            raise DatasetError(
                f"the gate has {len(paths)} films of {name} to be fitted on, not {LEAST}",
                "add films, or name a larger folder",
            )
        sources.append(_read(name, paths, patients, seed, progress))
    return sources


def _read(
    name: str,
    paths: Sequence[Path],
    patients: Sequence[str],
    seed: int,
    progress: Callable[[str, int], Callable[[int], None]],
) -> Source:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(paths))[:LIMIT])
    kept, tensors, _ = read_tensors(
        [paths[i] for i in rows], progress(f"reading films of {name} for the gate", len(rows))
    )
    own = np.array([patients[rows[i]] for i in kept])
    known = np.unique(own)
    out = np.isin(own, rng.permutation(known)[: max(1, round(len(known) * HELD_OUT))])
    return Source(name, tensors[~out], tensors[out])
