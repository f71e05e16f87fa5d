"""The report's chapters on what lies inside an ensemble: fusion, calibration, training."""

from __future__ import annotations

from collections.abc import Sequence

from train import pictures
from train.page import Html, paragraph, picture, subheading, table
from train.published import PAPER_HOURS
from train.recipe import BASELINE
from train.summary import Detail, EnsembleSummary, SplitFacts
from train.timing import TrainingTime
from train.wording import fraction_cell, percent_cell


def fusing(ensemble: EnsembleSummary, split: SplitFacts) -> tuple[Html, ...]:
    """The fusion's weights, and the fusion beside other ways to combine the members."""
    held_out = ensemble.held_out
    fitted = (
        f"on {held_out.films} pictures of held-out training films"
        if held_out
        else "on held-out films"
    )
    bars = (
        "Bars: 95 % intervals, from fits on draws of held-out patients. "
        if ensemble.weight_intervals is not None
        else "Without intervals: a bundle does not tell which held-out films are of one patient. "
    )
    parts = [
        picture(
            pictures.svg(pictures.weights(ensemble)),
            "Weights of the fusion",
            "Weights of the fusion y = a1 x1 + a2 x2 + a3 x3 + a4 x4 + b (the paper's Fig. 5), where "
            f"x is a member's probability of pneumonia, fitted {fitted} by least squares; no unit. "
            f"{bars}A large weight does not mean a good member: members that say alike share a weight "
            "between them in an arbitrary way, and one may even become negative. In the paper "
            "Xception's is nearly none.",
        )
    ]
    rows = [row for row in ensemble.combinations if row.split == split.name]
    return (*parts, *([_combinations(rows, split)] if rows else []))


def _combinations(rows: Sequence[Detail], split: SplitFacts) -> Html:
    """The fusion and the other ways to combine the members."""
    return table(
        ["combination", "read at", "AUC", "accuracy", "recall", "specificity", "F1"],
        [
            [
                row.subject,
                f"{row.operating_point} > {row.threshold:.3f}",
                fraction_cell(row.auc),
                *map(percent_cell, (row.accuracy, row.sensitivity, row.specificity, row.f1)),
            ]
            for row in rows
        ],
        f"What fusing gives, on {split.name} (n = {split.films}). AUC as a fraction, the rest in per "
        "cent, of pneumonia. Everything was settled on the held-out films: the weights, the logistic "
        "regression on the members' probabilities (stacking), which member is best (by AUC), and each "
        "threshold called balanced.",
    )


def calibration(ensemble: EnsembleSummary, split: SplitFacts) -> tuple[Html, ...]:
    """Reliability diagrams, Brier score and calibration error."""
    rows = [row for row in ensemble.calibration if row.split == split.name]
    held_out = ensemble.held_out
    share = (
        f" Of those, {100 * held_out.pneumonia / held_out.films:.1f} % have pneumonia, of these films "
        f"{100 * split.pneumonia / split.films:.1f} %."
        if held_out
        else ""
    )
    return (
        paragraph(
            "y is the value of a linear regression and no probability. Cut to 0 to 1 it is measured "
            "as if it were one. Platt's logistic curve and an isotonic (rising step) function turn "
            f"it into one; both were fitted on held-out films alone.{share} They are reported here; "
            "what the software prints is y."
        ),
        picture(
            pictures.svg(pictures.reliability(rows)),
            "Reliability diagrams",
            f"Reliability on {split.name} (n = {split.films}): films are sorted into ten bins by "
            "their predicted probability; each dot is a bin, with the 95 % (Wilson) interval of its "
            "share of pneumonia. Dots on the dotted diagonal are honest: of the films given 0.8, "
            "eight in ten are ill. Below it: predictions too high; above: too low. Grey columns: how "
            "many films lie in the bin (the tallest is the fullest; no scale).",
        ),
        table(
            ["probability", "Brier score", "ECE", "bins with films"],
            [
                [row.subject, fraction_cell(row.brier), f"{row.ece:.3f}", str(len(row.bins))]
                for row in rows
            ],
            "Brier score: mean squared distance between probability and truth (0 is perfect; always "
            "saying the share of pneumonia gives "
            f"{split.pneumonia * split.normal / split.films**2:.3f}). ECE: expected calibration "
            "error, the mean distance of the dots from the diagonal, weighted by films (0 is "
            "perfect); it depends on the number of bins, ten, and has no interval, as resampling "
            "inflates it.",
        ),
    )


def training(ensemble: EnsembleSummary) -> tuple[Html, ...]:
    """Curves, and what training took."""
    if not ensemble.histories:
        return ()
    parts: list[Html] = []
    for measure, figure in (("accuracy", "Fig. 3"), ("loss", "Fig. 4")):
        parts.append(
            picture(
                pictures.svg(pictures.curves(ensemble.histories, measure)),
                f"{measure} over the epochs",
                f"{measure.capitalize()} over the epochs (the paper's {figure}). Solid: on the "
                "training films, while they are augmented and dropout is on, which makes them "
                "harder. Dashed: on films that are looked at after every epoch and not trained on, "
                f"unless the legend says so. {_CURVES[measure]}",
            )
        )
    return (*parts, *_times(ensemble))


_CURVES = {
    "accuracy": "At a threshold of 0.5; 1.0 is all films right.",
    "loss": "Lower is better; no unit. A panel whose losses span more than a factor of ten has a logarithmic axis.",
}


def _times(ensemble: EnsembleSummary) -> tuple[Html, ...]:
    times = ensemble.training
    if not times:
        return ()
    rows = [
        [
            row.member,
            str(row.epochs),
            _told(row.images_seen, ",d"),
            f"{row.minutes:.1f}",
            _told(row.seconds_per_1000_images, ".1f"),
            _told(row.time_to_baseline, ".2f"),
            _told(row.image_time_to_baseline, ".2f"),
            row.init,
        ]
        for row in times
    ]
    heading = ["model", "epochs", "images seen", "minutes", "s per 1000 images", "minutes / CNN's"]
    heading += ["s per image / CNN's", "begun from"]
    return (
        subheading("Training time"),
        paragraph(_against_baseline(times)),
        table(
            heading,
            rows,
            "Wall time of the training steps on the machine that trained, which may have done other work "
            "beside it; images count as often as they were seen. Seconds per 1000 images are those of the "
            "median epoch.",
        ),
    )


def _against_baseline(times: Sequence[TrainingTime]) -> str:
    cnn, transfer = PAPER_HOURS
    told = f"The paper trained its CNN for {cnn} and its transfer models for {transfer}, that is half. "
    members = [row for row in times if row.member != BASELINE]
    if not members or len(members) == len(times):
        return told + "Here no CNN was trained with this run, so there is nothing to compare with."
    sooner = sum((row.time_to_baseline or 0) < 1 for row in members)
    compared = [row.image_time_to_baseline for row in members if row.image_time_to_baseline]
    slower = sum(ratio > 1 for ratio in compared)
    return (
        f"{told}Here {sooner} of {len(members)} members took less time in all than the CNN; by the image "
        f"{slower} of {len(compared)} are slower than it. What time in all says depends on how many images "
        "each was given."
    )


def _told(value: float | None, form: str) -> str:
    return "not known" if value is None else format(value, form)
