"""The template of chests that films are laid on, and films as members see them by it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.framing import FILE as TEMPLATE
from pneumo_edge.framing import TEMPLATE_SIDE, Template, encode_template, framed, lay, thumbnail
from pneumo_edge.types import InputTensor
from train.dataset import Dataset
from train.draws import draw_balanced
from train.recipe import Recipe
from train.run import Run, whole

FILMS = 600
"""That the template is the mean of, half of them of each class, so that it is no class's."""

ROUNDS = 3
"""After which the template no longer changes by anything that is to be seen."""


def fit_template(dataset: Dataset, seed: int) -> Template:
    """The mean of films that are laid on it: begun as their plain mean, then laid and averaged anew.

    After each round scales are 1 and shifts 0 in the mean, so that it neither grows nor wanders.

    Args:
        dataset: Has both classes.
        seed: Of the draw.

    Source: E. Learned-Miller, "Data driven image models through continuous joint alignment", 2006 (congealing).
    """
    rows = draw_balanced(dataset, min(FILMS, len(dataset)), np.random.default_rng((seed, 4)))
    smalls = [thumbnail(dataset.tensors[row][..., 0]) for row in rows]
    template = np.asarray(np.mean(smalls, 0), np.float32)
    for _ in range(ROUNDS):
        found = [(small, lay(template, small)) for small in smalls]
        laid = [(small, where) for small, where in found if where is not None]
        if not laid:
            break
        places = np.array([where for _, where in laid])
        scales = places[:, :2] / places[:, :2].mean(0)
        shifts = places[:, 2:] - places[:, 2:].mean(0)
        template = np.mean(
            [
                _moved(small, scale, shift)
                for (small, _), scale, shift in zip(laid, scales, shifts, strict=True)
            ],
            0,
        ).astype(np.float32)
    return template.astype(np.float16).astype(np.float32)  # as it is kept


def _moved(
    small: NDArray[np.float32], scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float32]:
    middle = (TEMPLATE_SIDE - 1) / 2
    warp = np.column_stack([np.diag(scale), middle * (1 - scale) + shift])
    moved = cv2.warpAffine(
        small,
        warp,
        (TEMPLATE_SIDE, TEMPLATE_SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.float32)


def keep_template(run: Run, dataset: Dataset, recipe: Recipe) -> Template | None:
    """The run's template, fitted once; None where the recipe frames no film.

    Raises:
        RecipeError: its file is damaged, or cannot be written.
    """
    if not recipe.framing:
        return None
    known = run.template()
    if known is not None:
        return known
    template = fit_template(dataset, recipe.seed)
    with whole(run.folder / TEMPLATE) as partial:
        partial.write_bytes(encode_template(template))
    return template


def framed_pixels(films: NDArray[np.uint8], template: Template | None) -> NDArray[np.uint8]:
    """(n, 150, 150, 1) prepared films as members see them; the same ones without a template."""
    if template is None or not len(films):
        return films

    def one(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        seen, _ = framed(template, InputTensor(pixels[np.newaxis]))
        return np.asarray(seen.pixels[0], np.uint8)

    with ThreadPoolExecutor() as pool:  # OpenCV releases the interpreter lock
        return np.stack(list(pool.map(one, films)))


def framed_films(dataset: Dataset, template: Template | None) -> Dataset:
    """The same films as members see them; the data set itself without a template."""
    return replace(dataset, tensors=framed_pixels(dataset.tensors, template))
