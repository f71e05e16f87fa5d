"""Curves of accuracy and loss over the epochs (the paper's Figs. 3 and 4)."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from train.run import ALL, History


def draw_curves(history: History, path: Path) -> None:
    """Draw a member's accuracy and loss, in training and on the monitored films, as a PNG.

    Args:
        history: At least one epoch.
        path: Written; its folder exists.
    """
    epochs = [epoch.epoch for epoch in history.epochs]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    monitored = "held out" if history.fold != ALL else "monitored (seen in training)"
    left.plot(epochs, [e.accuracy for e in history.epochs], "o-", label="training, augmented")
    left.plot(epochs, [e.val_accuracy for e in history.epochs], "s--", label=monitored)
    left.set(xlabel="epoch", ylabel="accuracy", title=f"{history.member}: accuracy")
    right.plot(epochs, [e.loss for e in history.epochs], "o-", label="training, augmented")
    right.plot(epochs, [e.val_loss for e in history.epochs], "s--", label=monitored)
    right.set(xlabel="epoch", ylabel="binary cross-entropy", title=f"{history.member}: loss")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
