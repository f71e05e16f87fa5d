"""The representative films: what the activations' ranges are measured on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import DatasetError
from train.dataset import LABELS, Film, load

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class RepresentativeSet:
    """Prepared training films, and how they were drawn."""

    films: tuple[Film, ...]
    pixels: NDArray[np.uint8]
    """(n, 150, 150, 1), as `pneumo_edge.prepare` made them."""
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
    """Draw, decode and prepare `count` films; an unreadable one is replaced by the next.

    Raises:
        DatasetError: there are fewer films than asked for, or they are all alike.
    """
    queue = order(films, seed)
    if count < 2 or len(queue) < count:
        raise DatasetError(
            f"{count} representative films were asked for, of {len(queue)}",
            f"pass --representative between 2 and {len(queue)}, or add films",
        )
    chosen: list[Film] = []
    pixels: list[NDArray[np.uint8]] = []
    while len(chosen) < count and queue:
        batch, queue = queue[: count - len(chosen)], queue[count - len(chosen) :]
        read = load(batch, progress)
        chosen += read.films
        pixels += list(read.tensors)
    if len(chosen) < count:
        raise DatasetError(
            f"only {len(chosen)} of the {count} representative films asked for can be read",
            "repair the others, or ask for fewer",
        )
    stack = np.stack(pixels)
    refuse_alike(stack)
    return RepresentativeSet(tuple(chosen), stack, seed)


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
