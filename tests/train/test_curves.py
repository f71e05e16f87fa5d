from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from matplotlib.figure import Figure

from train.curves import draw_curves
from train.run import Epoch, History


def history(count: int) -> History:
    epochs = [
        Epoch(
            epoch=n,
            learning_rate=1e-5,
            loss=1 / n,
            accuracy=0.5 + n / 20,
            val_loss=1.2 / n,
            val_accuracy=0.5 + n / 25,
            val_auc=0.9,
            seconds=1.0,
        )
        for n in range(1, count + 1)
    ]
    return History(member="vgg16", recipe="", init="none", fold="0", epochs=epochs)


@pytest.mark.parametrize("count", [1, 6])
def test_curves_are_drawn_as_a_picture(count: int, tmp_path: Path) -> None:
    draw_curves(history(count), tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None
    assert picture.shape[0] > 300
    assert picture.shape[1] > 800
    assert (picture < 128).any()


@pytest.mark.parametrize(
    ("fold", "label"), [("0", "held out"), ("all", "monitored (seen in training)")]
)
def test_curves_hold_every_epochs_figures_and_say_what_was_seen(
    fold: str, label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig

    def kept(figure: Figure, path: Path, dpi: int) -> None:
        drawn.append(figure)
        save(figure, path, dpi=dpi)

    monkeypatch.setattr(Figure, "savefig", kept)
    told = msgspec.structs.replace(history(3), fold=fold)
    draw_curves(told, tmp_path / "curves.png")
    accuracy, loss = drawn[0].axes
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in accuracy.lines}
    assert lines == {
        "training, augmented": [e.accuracy for e in told.epochs],
        label: [e.val_accuracy for e in told.epochs],
    }
    lines = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in loss.lines}
    assert lines[label] == [e.val_loss for e in told.epochs]
