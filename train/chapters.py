"""The report's chapters on how well an ensemble tells the films apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from train import pictures
from train.evaluate import FUSED, TEST
from train.page import Html, paragraph, picture, subheading, table
from train.published import Published
from train.summary import HELD_OUT, Detail, EnsembleSummary, SplitFacts, Summary
from train.wording import films, fraction, fraction_cell, percent, percent_cell, verdict

_POINTS = (
    "Operating points: paper, y above 0.5 as in the paper; balanced, the largest mean of sensitivity "
    "and specificity; screening, a sensitivity of at least 98 %. The last two were settled on "
    "training films that the members had not seen. Members and the CNN are read at 0.5."
)


def of_split(ensemble: EnsembleSummary, split: SplitFacts) -> list[Detail]:
    """The ensemble's details on one split."""
    return [row for row in ensemble.details if row.split == split.name]


def in_short(summary: Summary, ensemble: EnsembleSummary, split: SplitFacts) -> tuple[Html, ...]:
    """The main figures in sentences, and what is missing."""
    fused = {r.operating_point: r for r in of_split(ensemble, split) if r.subject == FUSED}
    row = fused.get("balanced", fused["paper"])
    paper = next(told for told in summary.published if told.subject == FUSED)
    said = (
        f"The fusion's AUC on {split.name} is {fraction(row.auc)}. At the operating point "
        f"{row.operating_point} (pneumonia where y > {row.threshold:.3f}; settled on other films) it "
        f"names {percent(row.accuracy)} of the films rightly, finds {percent(row.sensitivity)} of the "
        f"pneumonia films and clears {percent(row.specificity)} of the normal ones; F1 is "
        f"{percent(row.f1)}. The paper reports for its fusion an accuracy of {100 * paper.accuracy:.2f} %, a "
        f"recall of {100 * paper.recall:.2f} % and an F1 of {100 * paper.f1:.2f} %."
    )
    if split.name == TEST:
        said += (
            f" So here accuracy is {_above(row.accuracy.value, paper.accuracy)} and F1 is "
            f"{_above(row.f1.value, paper.f1)} the paper's."
        )
    compared = [verdict(c) for c in ensemble.comparisons if c.split == split.name]
    return (
        *(paragraph(line, "key") for line in (said, *compared)),
        *(paragraph(line, "remark") for line in ensemble.remarks),
    )


def _above(ours: float, theirs: float) -> str:
    return "above" if ours > theirs else "not above"


def beside_paper(
    summary: Summary, ensemble: EnsembleSummary, split: SplitFacts
) -> tuple[Html, ...]:
    """The paper's Tables 3 and 4 with ours beside them."""
    own = {r.subject: r for r in of_split(ensemble, split) if r.operating_point == "paper"}
    parts: list[Html] = []
    for number in sorted({row.table for row in summary.published}):
        told = [row for row in summary.published if row.table == number]
        parts += [subheading(f"The paper's Table {number}"), _paper_table(told, own, split)]
    parts.append(
        picture(
            pictures.svg(pictures.beside_the_paper(list(own.values()), summary.published)),
            "Accuracy, recall and F1 of each model, ours and the paper's",
            f"Dots: what was measured here on {split.name} (n = {split.films}), with 95 % intervals. "
            "Crosses: what the paper reports. Recall and F1 are macro averages for the four members "
            "and those of pneumonia for cnn and fused, the readings that the paper's tables look "
            "like. A cross inside the bar of a dot means that this many films cannot tell the two "
            "apart.",
        )
    )
    return tuple(parts)


def _paper_table(told: Sequence[Published], own: Mapping[str, Detail], split: SplitFacts) -> Html:
    """One of the paper's tables, its values before ours."""
    rows: list[list[str | Html]] = []
    for row in told:
        theirs = [f"{100 * value:.2f}" for value in (row.accuracy, row.recall, row.f1)]
        ours = own.get(row.subject)
        if ours is None:
            rows.append([row.subject, *theirs, *["not measured"] * 5])
            continue
        measures = (ours.accuracy, ours.sensitivity, ours.recall_macro, ours.f1, ours.f1_macro)
        rows.append([row.subject, *theirs, *(percent_cell(m) for m in measures)])
    heading = ["model", "paper: accuracy", "paper: recall", "paper: F1", "accuracy"]
    heading += ["recall, pneumonia", "recall, macro", "F1, pneumonia", "F1, macro"]
    return table(
        heading,
        rows,
        f"In per cent; n = {split.films} films of {split.name}; y and every probability are read at 0.5, "
        "as in the paper. pneumonia: of that class alone; macro: the plain mean of both classes. The "
        f"paper does not say which of them it gives; its Table {told[0].table} looks like "
        f"{told[0].reading}.",
    )


def all_figures(rows: Sequence[Detail], split: SplitFacts) -> tuple[Html, ...]:
    """Every measure of every model."""
    heading = ["model", "read at", "accuracy", "precision", "recall", "specificity", "F1"]
    read = [[row.subject, f"{row.operating_point} > {row.threshold:.3f}"] for row in rows]
    one: list[list[str | Html]] = [
        [*said, *map(percent_cell, (r.accuracy, r.precision, r.sensitivity, r.specificity, r.f1))]
        for said, r in zip(read, rows, strict=True)
    ]
    two: list[list[str | Html]] = [
        [
            *said,
            *map(percent_cell, (r.precision_macro, r.recall_macro, r.f1_macro)),
            *map(fraction_cell, (r.auc, r.average_precision)),
        ]
        for said, r in zip(read, rows, strict=True)
    ]
    share = split.pneumonia / split.films
    return (
        table(
            heading,
            one,
            f"In per cent, n = {split.films} films of {split.name}. Precision, recall (sensitivity) "
            f"and F1 are those of pneumonia. {_POINTS}",
        ),
        table(
            ["model", "read at", "precision", "recall", "F1", "AUC", "average precision"],
            two,
            "Precision, recall and F1 as macro averages (the plain mean of both classes), in per "
            "cent. AUC and average precision are fractions and know no threshold: a score without "
            f"skill has an AUC of 0.5 and an average precision of {share:.3f}, the share of pneumonia "
            "films.",
        ),
    )


def curves_and_confusion(
    ensemble: EnsembleSummary, rows: Sequence[Detail], split: SplitFacts
) -> tuple[Html, ...]:
    """Spread of the scores, ROC curves with operating points, and confusion matrices."""
    curves = [curve for curve in ensemble.roc if curve.split == split.name]
    return (
        score_spread(ensemble, split),
        picture(
            pictures.svg(pictures.roc(curves, rows)),
            "ROC curves of the fusion, the members and the baseline",
            f"ROC on {split.name} ({split.normal} normal, {split.pneumonia} pneumonia films). Each "
            "curve shows what share of the pneumonia films is found (up) at what share of normal "
            "films taken for ill (right), as the threshold moves; the nearer to the upper left "
            "corner the better. Yellow marks: the fusion at its operating points. A mark far from "
            "the corner on a good curve means that the scores are in good order and the threshold is "
            "off for these films.",
        ),
        picture(
            pictures.svg(pictures.confusion(rows)),
            "Confusion matrices",
            f"Confusion matrices, {split.films} films of {split.name}: number of films, and share of "
            "the row. Rows are the truth as the data set has it, columns what the model said. Upper "
            "right: normal films taken for ill (false alarms). Lower left: pneumonia films missed.",
        ),
    )


def score_spread(ensemble: EnsembleSummary, split: SplitFacts) -> Html:
    """Where the scores lie, on the films that thresholds were settled on and on these."""
    shown = [row for row in ensemble.spread if row.films in (HELD_OUT, split.name)]
    before = (
        "Above: the held-out training films, on which the thresholds were settled. Below: these films. "
        if len(shown) > 1
        else ""
    )
    points = [row for row in of_split(ensemble, split) if row.subject == FUSED]
    return picture(
        pictures.svg(pictures.spread(shown, points)),
        "Histogram of y by class",
        f"How y is spread over normal and pneumonia films (in brackets their number), in per cent of "
        f"each class, and the thresholds. {before}What lies right of a threshold is called pneumonia: blue "
        "there are false alarms, orange left of it missed pneumonias. Where a class lies elsewhere below "
        "than above, the films differ from those that the thresholds were settled on.",
    )


def from_elsewhere(ensemble: EnsembleSummary, split: SplitFacts) -> tuple[Html, ...]:
    """External validation: overall, and by view, sex and age."""
    rows = of_split(ensemble, split)
    fused = [row for row in rows if row.subject == FUSED]
    groups = [group for group in ensemble.groups if group.split == split.name]
    undefined = [g for g in groups if g.auc is None]
    whole = fused[0]
    chance = (
        "Its interval reaches down to 0.5: on these films it is not shown to be better than a coin."
        if whole.auc.low <= 0.5
        else "0.5 would be chance."
    )
    parts = [
        paragraph(
            f"{films(split)}. They come from elsewhere and have no part in training, choice or "
            f"calibration. The fusion's AUC is {fraction(whole.auc)}. {chance}",
            "key",
        ),
        *(paragraph(verdict(c)) for c in ensemble.comparisons if c.split == split.name),
        *all_figures(rows, split),
    ]
    if groups:
        parts.append(
            picture(
                pictures.svg(pictures.groups(whole, groups)),
                "AUC overall and by group",
                "The fusion's AUC on all films and on parts of them; in brackets the films (normal + "
                "pneumonia). AP films are mostly taken at the bedside, of patients too ill to stand; "
                "PA films standing. Where bars overlap widely, no difference between groups is "
                "shown; many groups were looked at, so one of them may stand out by luck.",
            )
        )
        parts += [
            paragraph(
                f"{g.attribute} {g.value}: {g.normal} normal and {g.pneumonia} pneumonia films. With "
                "one class only, an AUC is not defined.",
                "remark",
            )
            for g in undefined
        ]
    return (*parts, *curves_and_confusion(ensemble, rows, split))
