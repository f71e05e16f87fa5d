"""The sanity checks of heat maps as a page with plots, and as one picture."""

from __future__ import annotations

import io
from typing import Any

from benchmarks import saliency_results as results
from benchmarks.saliency_results import Saliency
from train.page import Chapter, page, paragraph, picture, table
from train.pictures import svg

COLOURS = {"map": "#d55e00", "random": "#888888", "centre": "#0072b2"}
"""Okabe and Ito's, which people with any colour vision tell apart."""

NAMES = {"map": "heat map", "random": "random, as smooth", "centre": "from the middle outwards"}


def figure(found: Saliency) -> Any:
    """Deletion and insertion side by side."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.5, 3.8), layout="constrained")
    for axes, kind in zip(
        drawn.subplots(1, 2, sharey=True), ("deletion", "insertion"), strict=True
    ):
        areas = {row.order: row.area.value for row in found.areas if row.curve == kind}
        for row in found.curves:
            if row.curve == kind:
                label = f"{NAMES[row.order]}: area {areas[row.order]:.3f}"
                axes.plot(found.shares, row.v, "o-", ms=3, color=COLOURS[row.order], label=label)
        what = "taken away" if kind == "deletion" else "given back"
        axes.set(title=kind, xlabel=f"share of the film that is {what}")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    drawn.axes[0].set_ylabel("mean v: y for the film's label")
    return drawn


def png(found: Saliency) -> bytes:
    """The curves as a picture."""
    buffer = io.BytesIO()
    figure(found).savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def render(found: Saliency) -> str:
    """The page.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    opening = [
        paragraph(f"Bundle {found.bundle}, {found.films} films, 95 % intervals by patient."),
        paragraph(
            "v is y where the film was labelled pneumonia, 1 - y where normal. What is taken away is replaced by"
            f" the film blurred with a standard deviation of {found.blur:g} of 150 pixels."
        ),
    ]
    alt = "; ".join(f"{row.curve} by {row.order}: {row.area.value:.3f}" for row in found.areas)
    curves = picture(svg(figure(found)), alt, "Deletion should fall, insertion rise, soon.")
    return page(
        "pneumo-edge heat maps: sanity checks",
        opening,
        [
            Chapter("curves", "Deletion and insertion", (curves, _table(found, "areas"))),
            Chapter("tenth", "A tenth of the film", (_table(found, "tenths"),)),
            Chapter("weights", "Shuffled weights", (_table(found, "randomised"),)),
        ],
    )


def _table(found: Saliency, which: str) -> Any:
    heading, rows = {
        "areas": (results.AREAS, results.area_rows(found)),
        "tenths": (results.TENTHS, results.tenth_rows(found)),
        "randomised": (results.RANDOMISED, results.randomised_rows(found)),
    }[which]
    return table(heading, rows, _CAPTIONS[which])


_CAPTIONS = {
    "areas": "Areas under the curves.",
    "tenths": "Mean |dy| without a tenth.",
    "randomised": "Maps of the head as learnt against those of heads with shuffled weights. The first row is"
    " what any two films' maps have in common.",
}
