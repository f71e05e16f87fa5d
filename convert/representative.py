"""The representative films: what the activations' ranges are measured on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import DatasetError
from pneumo_edge.framing import Template
from train.dataset import LABELS, Dataset, Film, load, refuse_shared_patients
from train.framing import framed_pixels

T = TypeVar("T")


CHECKED = 2
"""One film to check on for so many to fit on."""


@dataclass(frozen=True, slots=True, eq=False)
class RepresentativeSet:
    """Prepared training films, how they were drawn, and others of other patients to check them by."""

    films: tuple[Film, ...]
    pixels: NDArray[np.uint8]
    """(n, 150, 150, 1), as `pneumo_edge.prepare` made them."""
    check: NDArray[np.uint8]
    """(m, 150, 150, 1): no patient of theirs is among `films`; nothing is fitted on them."""
    seed: int


def order(films: Sequence[Film], seed: int) -> list[Film]:
    """All films in the order of drawing: the classes in turn, within each the patients in turn.

    Args:
        films: Of the training split only; their order does not matter.
        seed: The same seed and films give the same order.

    Returns:
        Every film once. No patient has a second film before each patient of its class has a first.
    """
    draw = np.random.default_rng(seed)
    by_class = [_by_patient([f for f in films if f.label == k], draw) for k in range(len(LABELS))]
    return [film for turn in zip_longest(*by_class) for film in turn if film is not None]


def _by_patient(films: Sequence[Film], draw: np.random.Generator) -> Iterator[Film]:
    patients: dict[str, list[Film]] = defaultdict(list)
    for film in sorted(films, key=lambda f: (f.patient, f.name)):
        patients[film.patient].append(film)
    shuffled = [_shuffle(own, draw) for own in _shuffle(list(patients.values()), draw)]
    for turn in zip_longest(*shuffled):
        yield from (film for film in turn if film is not None)


def _shuffle(items: list[T], draw: np.random.Generator) -> list[T]:
    return [items[i] for i in draw.permutation(len(items))]


def draw_representative(
    films: Sequence[Film], count: int, seed: int, progress: Callable[[int], None] | None = None
) -> RepresentativeSet:
    """Draw, decode and prepare `count` films, and half as many others; an unreadable one is replaced.

    Args:
        films: Of the training split, without patients that the conversion is evaluated on.
        count: At least 2.
        seed: The same seed and films give the same sets.
        progress: Called with 1 for every film.

    Raises:
        DatasetError: there are fewer films than asked for, or they are all alike.
    """
    queue = order(films, seed)
    if count < 2 or len(queue) < count:
        raise DatasetError(
            f"{count} representative films were asked for, of {len(queue)}",
            f"pass --representative between 2 and {len(queue)}, or add films",
        )
    chosen, pixels, rest = _read(queue, count, progress)
    patients = {film.patient for film in chosen}
    others = [film for film in rest if film.patient not in patients]
    wanted = -(-count // CHECKED)
    if len(others) < wanted:
        raise DatasetError(
            f"{count} representative films leave {len(others)} of other patients, not {wanted}, to check by",
            "pass a smaller --representative, or add films of other patients",
        )
    _, check, _ = _read(others, wanted, progress)
    refuse_alike(pixels)
    return RepresentativeSet(tuple(chosen), pixels, check, seed)


def _read(
    queue: Sequence[Film], count: int, progress: Callable[[int], None] | None
) -> tuple[list[Film], NDArray[np.uint8], Sequence[Film]]:
    """The first `count` films that can be read, their tensors, and what is left of the queue."""
    chosen: list[Film] = []
    pixels: list[NDArray[np.uint8]] = []
    while len(chosen) < count and queue:
        batch, queue = queue[: count - len(chosen)], queue[count - len(chosen) :]
        read = load(batch, progress)
        chosen += read.films
        pixels += list(read.tensors)
    if len(chosen) < count:
        raise DatasetError(
            f"only {len(chosen)} of the {count} representative films needed can be read",
            "repair the others, add films of other patients, or pass a smaller --representative",
        )
    return chosen, np.stack(pixels), queue


def refuse_evaluated(chosen: RepresentativeSet, evaluated: Dataset) -> None:
    """Refuse to fit on what the conversion is then measured on.

    Raises:
        DatasetError: they share a patient, or a film under two names.
    """
    names = ("the representative films", "the films that parity is measured on")
    refuse_shared_patients(chosen.films, evaluated.films, names)
    tested = {film.tobytes() for film in evaluated.tensors}
    for film, pixels in zip(chosen.films, chosen.pixels, strict=True):
        if pixels.tobytes() in tested:
            raise DatasetError(
                f"the representative film {film.id} is one of those that parity is measured on",
                "remove it from the training films",
            )


def seen_films(chosen: RepresentativeSet, template: Template | None) -> RepresentativeSet:
    """The same films as members see them."""
    pixels, check = (framed_pixels(films, template) for films in (chosen.pixels, chosen.check))
    return replace(chosen, pixels=pixels, check=check)


def refuse_alike(pixels: NDArray[np.uint8]) -> None:
    """Refuse films that would tell nothing about an activation's range.

    Raises:
        DatasetError: fewer than half of them differ from one another, or none has any contrast.
    """
    distinct = len({film.tobytes() for film in pixels})
    if distinct * 2 < len(pixels):
        raise DatasetError(
            f"only {distinct} of {len(pixels)} representative films differ",
            "remove the copies from the training films",
        )
    flat = sum(int(film.max()) - int(film.min()) < 16 for film in pixels)
    if flat * 2 > len(pixels):
        raise DatasetError(
            f"{flat} of {len(pixels)} representative films are nearly uniform",
            "remove the empty films from the training films",
        )
