"""What one evaluation found: the numbers behind the report, and its JSON.

`SCHEMA` is raised whenever a reader of the version before could misread a file. Shares are fractions of 1, not
per cent; every interval is a 95 % one, from 1000 bootstrap draws of whole patients unless its field says otherwise.
"""

from __future__ import annotations

from typing import Literal

from pneumo_edge.manifest import Figures, Measure, Struct
from train.calibration import Calibration
from train.comparison import Comparison
from train.published import Published
from train.run import History
from train.timing import TrainingTime

SCHEMA = 1

HELD_OUT = "held out"
"""How the films that the fusion was fitted on are called."""


class SplitFacts(Struct, frozen=True):
    """The films that were evaluated on."""

    name: str
    """test for the official split; else the folder's own name."""
    films: int
    patients: int
    normal: int
    pneumonia: int
    skipped: int
    """Files that could not be read."""
    remarks: list[str]


class HeldOutFacts(Struct, frozen=True):
    """What fusion, thresholds and calibration were settled on: training films as they are, or under stress too."""

    films: int
    normal: int
    pneumonia: int


class Detail(Struct, frozen=True):
    """Everything about one model at one threshold on one split. Pneumonia is the positive class."""

    subject: str
    """fused, a member, cnn, or one of the ways of combining the members."""
    split: str
    operating_point: str
    threshold: float
    n: int
    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int
    accuracy: Measure
    auc: Measure
    average_precision: Measure
    sensitivity: Measure
    """Recall of pneumonia."""
    specificity: Measure
    """Recall of normal."""
    precision: Measure
    f1: Measure
    recall_macro: Measure
    """Mean of both classes' recalls; the same for the two below."""
    precision_macro: Measure
    f1_macro: Measure


class Roc(Struct, frozen=True):
    """A model's ROC curve: one point per threshold, those on a straight line left out."""

    split: str
    subject: str
    false_positive_rate: list[float]
    sensitivity: list[float]


class ScoreSpread(Struct, frozen=True):
    """How y is spread over films: a histogram by class."""

    films: str
    """A split's name, or held out."""
    edges: list[float]
    """Of the bins, ascending, one more than there are counts; the outer bins hold what lies beyond."""
    normal: list[int]
    pneumonia: list[int]


class Group(Struct, frozen=True):
    """The fusion's AUC on a part of a split, for instance the AP views."""

    split: str
    attribute: str
    """view, sex or age."""
    value: str
    n: int
    normal: int
    pneumonia: int
    auc: Measure | None
    """None where the group has one class only: then it is not defined."""


class EnsembleSummary(Struct, frozen=True):
    """One ensemble on every split."""

    title: str
    """The run's folder or the bundle's id, without a path."""
    kind: Literal["run", "bundle"]
    precision: str
    """float32 or int8."""
    weights: dict[str, float]
    """a_i of y = a1 x1 + a2 x2 + a3 x3 + a4 x4 + b, by member."""
    weight_intervals: dict[str, Measure] | None
    """From fits on draws of held-out patients; None where a bundle does not tell these."""
    bias: float
    operating_points: dict[str, float]
    held_out: HeldOutFacts | None
    """None where a bundle was packed without: then nothing below can be fitted on it."""
    details: list[Detail]
    comparisons: list[Comparison]
    combinations: list[Detail]
    """The fusion beside other ways to combine the members, all settled on the held-out films."""
    calibration: list[Calibration]
    groups: list[Group]
    roc: list[Roc]
    spread: list[ScoreSpread]
    """On the held-out films, where they are known, and on each split."""
    histories: list[History]
    """Of a run's models, epoch by epoch; a bundle has none."""
    training: list[TrainingTime]
    remarks: list[str]
    """What is missing or amiss, as sentences."""


class Summary(Struct, frozen=True):
    """One evaluation."""

    schema: int
    bootstrap_draws: int
    splits: list[SplitFacts]
    ensembles: list[EnsembleSummary]
    figures: list[Figures]
    """The rows as a bundle's manifest has them."""
    published: list[Published]
    """The paper's Tables 3 and 4."""
