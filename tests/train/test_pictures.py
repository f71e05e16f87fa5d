from __future__ import annotations

from functools import partial
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from train import pictures
from train.run import Epoch, History
from train.summary import EnsembleSummary, Summary


@pytest.fixture(name="told")
def ensemble(summary: Summary) -> EnsembleSummary:
    return summary.ensembles[0]


def history(member: str, losses: tuple[float, ...]) -> History:
    epochs = [
        Epoch(
            epoch=k + 1,
            learning_rate=1e-4,
            loss=loss,
            accuracy=0.5 + k / 10,
            val_loss=loss / 2,
            val_accuracy=0.6 + k / 10,
            val_auc=0.9,
            seconds=1.0,
        )
        for k, loss in enumerate(losses)
    ]
    return History(member=member, recipe="", init="none", fold="0", epochs=epochs)


def drawn(figure: Figure) -> str:
    """The picture, which must be XML and the same each time."""
    made = pictures.svg(figure)
    ET.fromstring(made)  # noqa: S314  # our own picture
    return made


def test_each_picture_is_an_image_and_the_same_each_time(
    told: EnsembleSummary, summary: Summary
) -> None:
    own = [row for row in told.details if row.split == "elsewhere"]
    for make in (
        partial(pictures.beside_the_paper, own, summary.published),
        partial(pictures.reliability, told.calibration[:7]),
        partial(pictures.groups, own[0], told.groups),
        partial(pictures.spread, told.spread[:2], own[:3]),
    ):
        assert drawn(make()) == drawn(make())


def test_a_roc_curve_goes_through_the_operating_points(told: EnsembleSummary) -> None:
    details = [row for row in told.details if row.split == "test"]
    figure = pictures.roc([c for c in told.roc if c.split == "test"], details)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    fused = [row for row in details if row.subject == "fused"]
    curve = lines[f"fused, AUC {fused[0].auc.value:.3f}"]
    points = np.column_stack([curve.get_xdata(), curve.get_ydata()])
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    for row in fused:
        mark = lines[f"{row.operating_point}: y > {row.threshold:.3f}"]
        x, y = (float(np.asarray(data)[0]) for data in mark.get_data())
        left, right = points[points[:, 0] <= x + 2e-4], points[points[:, 0] >= x - 2e-4]
        assert left[-1, 1] + 2e-4 >= y >= left[:, 1].max() - 0.2
        assert right[:, 1].min() <= y + 2e-4
    drawn(figure)


def test_the_confusion_matrices_hold_every_count(told: EnsembleSummary) -> None:
    details = [row for row in told.details if row.split == "test"]
    figure = pictures.confusion(details)
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == len(details)
    for axes, row in zip(shown, details, strict=True):
        counts = [int(text.get_text().split("\n")[0]) for text in axes.texts]
        assert counts == [
            row.true_negatives,
            row.false_positives,
            row.false_negatives,
            row.true_positives,
        ]
        assert sum(counts) == row.n
    drawn(figure)


def test_the_weights_are_drawn_as_they_are(told: EnsembleSummary) -> None:
    figure = pictures.weights(told)
    heights = [bar.get_height() for bar in figure.axes[0].patches if isinstance(bar, Rectangle)]
    assert heights == list(told.weights.values())
    drawn(figure)
    without = msgspec.structs.replace(told, weight_intervals=None)
    assert drawn(pictures.weights(without)) != drawn(pictures.weights(told))


@pytest.mark.parametrize("count", [1, 4, 5])
def test_every_member_has_a_panel_of_its_curves(count: int) -> None:
    names = ["vgg16", "vgg19", "resnet50", "xception", "cnn"][:count]
    figure = pictures.curves([history(name, (7.0, 0.4, 0.3)) for name in names], "loss")
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == [f"{name}: loss" for name in names]
    for axes in shown:
        assert axes.get_yscale() == "log"  # 7 beside 0.15
        assert np.asarray(axes.lines[0].get_ydata()).tolist() == [7.0, 0.4, 0.3]
    drawn(figure)


def test_losses_of_one_size_have_a_linear_axis() -> None:
    figure = pictures.curves([history("cnn", (0.5, 0.4))], "loss")
    assert figure.axes[0].get_yscale() == "linear"
