"""Curves of accuracy and loss over the epochs (the paper's Figs. 3 and 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from train.run import ALL, History

_UNITS = {"accuracy": "accuracy, share of films", "loss": "loss (binary cross-entropy)"}


def draw_measure(axes: Any, history: History, measure: str) -> None:
    """Draw a member's accuracy or loss, in training and on the monitored films.

    Args:
        axes: Of matplotlib; drawn into.
        history: At least one epoch.
        measure: accuracy or loss.
    """
    epochs = [epoch.epoch for epoch in history.epochs]
    monitored = "held out" if history.fold != ALL else "monitored (seen in training)"
    training = [getattr(epoch, measure) for epoch in history.epochs]
    watched = [getattr(epoch, f"val_{measure}") for epoch in history.epochs]
    axes.plot(epochs, training, "o-", label="training, augmented")
    axes.plot(epochs, watched, "s--", label=monitored)
    axes.set(xlabel="epoch", ylabel=_UNITS[measure], title=f"{history.member}: {measure}")
    if max(training + watched) > 10 * min(training + watched) > 0:
        axes.set_yscale("log")  # an untrained head's first loss would flatten all that follow it
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_curves(history: History, path: Path) -> None:
    """Draw a member's accuracy and loss beside each other, as a PNG.

    Args:
        history: At least one epoch.
        path: Written; its folder exists.
    """
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for axes, measure in zip(figure.subplots(1, 2), _UNITS, strict=True):
        draw_measure(axes, history, measure)
    figure.savefig(path, dpi=110)
