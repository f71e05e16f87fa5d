"""The report's pictures, each drawn from the summary alone and handed out as SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pneumo_edge.manifest import Measure
from train.calibration import Calibration
from train.curves import draw_measure
from train.evaluate import FUSED
from train.published import PAPER_WEIGHTS, Published
from train.recipe import BASELINE
from train.run import History
from train.summary import Detail, EnsembleSummary, Group, Roc, ScoreSpread

COLOURS = {
    FUSED: "#111111",
    "vgg16": "#0072b2",
    "vgg19": "#56b4e9",
    "resnet50": "#d55e00",
    "xception": "#009e73",
    BASELINE: "#888888",
}
"""Okabe and Ito's, which people with any colour vision tell apart."""

POINTS = {"paper": "o", "balanced": "D", "screening": "^"}
PAPER_STYLE: dict[str, Any] = {
    "marker": "X",
    "color": "#cc2a7b",
    "linestyle": "none",
    "markersize": 8,
}


def svg(figure: Figure) -> str:
    """A figure as SVG text; the same figure gives the same text."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "pneumo-edge", "font.size": 10}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _spread(rows: Sequence[Measure]) -> list[list[float]]:
    """Error bars of measures: how far the interval reaches below and above each value."""
    return [[row.value - row.low for row in rows], [row.high - row.value for row in rows]]


def _dots(axes: Any, rows: Sequence[tuple[str, Measure]], colours: Sequence[str]) -> list[int]:
    """A line for each named measure, from the top down: a dot, and a bar for its interval."""
    places = list(range(len(rows)))[::-1]
    for (_, measure), place, colour in zip(rows, places, colours, strict=True):
        axes.errorbar(
            measure.value, place, xerr=_spread([measure]), fmt="o", color=colour, capsize=3
        )
    axes.set(yticks=places, ylim=(-0.6, len(rows) - 0.4))
    axes.set_yticklabels([name for name, _ in rows])
    axes.grid(axis="x", alpha=0.3)
    return places


def beside_the_paper(details: Sequence[Detail], published: Sequence[Published]) -> Figure:
    """Accuracy, recall and F1 of each model with its interval, and the paper's value."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    by_subject = {row.subject: row for row in details if row.operating_point == "paper"}
    shown = [row for row in published if row.subject in by_subject]
    colours = [COLOURS[row.subject] for row in shown]
    panels = figure.subplots(1, 3, sharey=True)
    for axes, field in zip(panels, ("accuracy", "recall", "f1"), strict=True):
        ours = [
            (row.subject, getattr(by_subject[row.subject], _reading(field, row.reading)))
            for row in shown
        ]
        places = _dots(axes, ours, colours)
        axes.plot([getattr(row, field) for row in shown], places, label="the paper", **PAPER_STYLE)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
        axes.set(xlabel=f"{'F1' if field == 'f1' else field}, %")
    panels[0].legend(loc="best", fontsize=8)
    return figure


def _reading(field: str, reading: str) -> str:
    """Which of our measures stands beside a column of the paper."""
    if field == "accuracy":
        return field
    if reading == "macro":
        return f"{field}_macro"
    return "sensitivity" if field == "recall" else field


def roc(curves: Sequence[Roc], details: Sequence[Detail]) -> Figure:
    """ROC curves with the operating points of the fusion, whole and enlarged."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    areas = {row.subject: row.auc.value for row in details}
    fused = [row for row in details if row.subject == FUSED]
    for axes, reach in zip(figure.subplots(1, 2), (1.0, 0.5), strict=True):
        for curve in curves:
            axes.step(
                curve.false_positive_rate,
                curve.sensitivity,
                where="post",
                color=COLOURS[curve.subject],
                linewidth=2.4 if curve.subject == FUSED else 1.2,
                linestyle="--" if curve.subject == BASELINE else "-",
                label=f"{curve.subject}, AUC {areas[curve.subject]:.3f}",
                zorder=3 if curve.subject == FUSED else 2,
            )
        for row in fused:
            axes.plot(
                1 - row.specificity.value,
                row.sensitivity.value,
                marker=POINTS.get(row.operating_point, "s"),
                color="#e69f00",
                markeredgecolor="black",
                markersize=9,
                linestyle="none",
                zorder=4,
                label=f"{row.operating_point}: y > {row.threshold:.3f}",
            )
        axes.plot([0, 1], [0, 1], color="#bbbbbb", linestyle=":", label="chance, AUC 0.5")
        axes.set(xlim=(-0.01, reach), ylim=(1 - reach - 0.01, 1.01))
        axes.set(
            xlabel="false positive rate (1 - specificity)",
            ylabel="sensitivity (true positive rate)",
        )
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=8, loc="lower right")
    figure.axes[0].set_title("whole")
    figure.axes[1].set_title("enlarged: the upper left quarter")
    return figure


def spread(scores: Sequence[ScoreSpread], details: Sequence[Detail]) -> Figure:
    """Where y lies for normal and for pneumonia films, with the fusion's thresholds."""
    figure = Figure(figsize=(10, 2.6 * len(scores)), layout="constrained")
    panels = figure.subplots(len(scores), 1, sharex=True, squeeze=False)[:, 0]
    for axes, row in zip(panels, scores, strict=True):
        for name, counted, colour in (
            ("normal", row.normal, COLOURS["vgg16"]),
            ("pneumonia", row.pneumonia, COLOURS["resnet50"]),
        ):
            total = max(1, sum(counted))
            axes.stairs(
                [100 * count / total for count in counted],
                row.edges,
                fill=True,
                alpha=0.45,
                color=colour,
                label=f"{name} ({total})",
            )
        for detail, style in zip(details, ("-", "--", ":"), strict=False):
            label = f"{detail.operating_point}: y > {detail.threshold:.3f}"
            axes.axvline(detail.threshold, color="black", linestyle=style, label=label)
        axes.set(ylabel="films of the class, %", title=row.films)
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    panels[-1].set_xlabel("y, the fused score")
    return figure


def confusion(details: Sequence[Detail]) -> Figure:
    """A confusion matrix for each operating point of the fusion and for each other model."""
    columns = 4
    rows = -(-len(details) // columns)
    figure = Figure(figsize=(10, 2.65 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(details) :]:
        axes.set_axis_off()
    for axes, row in zip(grid.flat, details, strict=False):
        cells = (
            (row.true_negatives, row.false_positives),
            (row.false_negatives, row.true_positives),
        )
        shares = [[cell / max(1, sum(line)) for cell in line] for line in cells]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i, line in enumerate(cells):
            for j, cell in enumerate(line):
                ink = "white" if shares[i][j] > 0.55 else "black"
                text = f"{cell}\n{shares[i][j]:.1%}"
                axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=9)
        axes.set_title(f"{row.subject}, {row.operating_point}\n> {row.threshold:.3f}", fontsize=9)
        axes.set(xticks=(0, 1), yticks=(0, 1))
        axes.set_xticklabels(("normal", "pneumonia"), fontsize=8)
        axes.set_yticklabels(("normal", "pneumonia"), fontsize=8, rotation=90, va="center")
        axes.set_xlabel("said", fontsize=8)
        axes.set_ylabel("truth (label)", fontsize=8)
    return figure


def reliability(rows: Sequence[Calibration]) -> Figure:
    """A reliability diagram for each probability, with the number of films in each bin below."""
    columns = 4
    lines = -(-len(rows) // columns)
    figure = Figure(figsize=(10, 3.1 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(rows) :]:
        axes.set_axis_off()
    for axes, row in zip(grid.flat, rows, strict=False):
        colour = COLOURS.get(row.subject, COLOURS[FUSED])
        observed = [part.observed for part in row.bins]
        places = [part.predicted for part in row.bins]
        axes.plot([0, 1], [0, 1], color="#bbbbbb", linestyle=":")
        axes.bar(
            [(int(min(x, 0.999) * 10) + 0.5) / 10 for x in places],
            [0.25 * part.n / max(p.n for p in row.bins) for part in row.bins],
            width=0.09,
            color="#dddddd",
            zorder=1,
        )
        axes.errorbar(
            places,
            [m.value for m in observed],
            yerr=_spread(observed),
            fmt="o-",
            color=colour,
            capsize=2,
            markersize=4,
            linewidth=1.2,
        )
        axes.set_title(f"{row.subject}\nBrier {row.brier.value:.3f}, ECE {row.ece:.3f}", fontsize=9)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1))
        axes.tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
    figure.supxlabel("predicted probability of pneumonia", fontsize=10)
    figure.supylabel("share of films with pneumonia", fontsize=10)
    return figure


def weights(ensemble: EnsembleSummary) -> Figure:
    """The fusion's weights (the paper's Fig. 5), with intervals where they are known."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    names = list(ensemble.weights)
    values = [ensemble.weights[name] for name in names]
    bars = None
    if ensemble.weight_intervals is not None:
        told = [ensemble.weight_intervals[name] for name in names]
        bars = _spread(told)
    axes.bar(
        names, values, yerr=bars, capsize=4, color=[COLOURS[name] for name in names], width=0.6
    )
    known = [name for name in names if name in PAPER_WEIGHTS]
    axes.plot(
        [names.index(name) for name in known],
        [PAPER_WEIGHTS[name] for name in known],
        label="the paper's, where its text tells it",
        **PAPER_STYLE,
    )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(ylabel="weight a in y = sum of a x + b", title=f"b = {ensemble.bias:+.4f}")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def curves(histories: Sequence[History], measure: str) -> Figure:
    """Accuracy or loss of every member over its epochs (the paper's Figs. 3 and 4)."""
    lines = 1 if len(histories) < 3 else 2
    columns = -(-len(histories) // lines)
    figure = Figure(figsize=(10, 3 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(histories) :]:
        axes.set_axis_off()
    for axes, history in zip(grid.flat, histories, strict=False):
        draw_measure(axes, history, measure)
    return figure


def groups(whole: Detail, parts: Sequence[Group]) -> Figure:
    """The fusion's AUC on all films of a split, and on each group of them that has both classes."""
    told = [(f"all ({whole.n})", whole.auc)]
    told += [
        (f"{g.attribute} {g.value} ({g.normal} + {g.pneumonia})", g.auc) for g in parts if g.auc
    ]
    figure = Figure(figsize=(8, 0.9 + 0.36 * len(told)), layout="constrained")
    axes = figure.subplots()
    _dots(axes, told, [COLOURS[FUSED], *[COLOURS["vgg16"]] * (len(told) - 1)])
    axes.axvline(0.5, color=PAPER_STYLE["color"], linestyle=":", label="chance")
    axes.set(xlabel="AUC of the fusion, with 95 % interval")
    axes.legend(fontsize=8)
    return figure
