"""Everything that the report says of one ensemble, put together from its answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from pneumo_edge.held_out import FILE
from pneumo_edge.manifest import MEMBER_NAMES
from train.alternatives import alternatives, best_member, weight_intervals
from train.calibration import Calibration, calibrated, clipped, reliability
from train.candidate import Candidate
from train.comparison import Comparison, compare
from train.evaluate import FUSED, Answers
from train.fuse import PAPER_THRESHOLD
from train.held_out import HeldOut
from train.metrics import (
    RESAMPLES,
    SEED,
    Scored,
    auc,
    counts,
    intervals,
    measure,
    patient_resamples,
)
from train.recipe import BASELINE
from train.run import History
from train.summary import (
    HELD_OUT,
    Detail,
    EnsembleSummary,
    Group,
    HeldOutFacts,
    Roc,
    ScoreSpread,
)
from train.timing import TrainingTime, histories, of_other_recipe, training_times


def summarise(candidate: Candidate, answers: list[Answers]) -> EnsembleSummary:
    """Everything that the report says of one ensemble.

    Args:
        candidate: The ensemble.
        answers: Its answers on each split, the official one first; at least one.
    """
    remarks: list[str] = []
    told, times = _training(candidate, remarks)
    if candidate.held_out is None:
        remarks.append(
            f"The bundle holds no {FILE}: other ways to combine the members, and the calibration of y by "
            "Platt's and the isotonic method, need the held-out predictions. Evaluate its run to see them."
        )
    held_out = candidate.held_out
    return EnsembleSummary(
        title=candidate.title,
        kind="bundle" if candidate.run is None else "run",
        precision=answers[0].precision,
        weights=candidate.weights,
        weight_intervals=None if held_out is None else weight_intervals(held_out),
        bias=candidate.bias,
        operating_points=candidate.operating_points,
        held_out=None if held_out is None else _facts(held_out),
        details=[row for a in answers for row in _details(candidate, a)],
        comparisons=[row for a in answers for row in _comparisons(candidate, a, remarks)],
        combinations=[row for a in answers for row in _combinations(candidate, a)],
        calibration=[row for a in answers for row in _calibrations(candidate, a)],
        groups=[row for a in answers for row in _groups(a)],
        roc=[_roc(a.split.name, name, s) for a in answers for name, s in a.subjects.items()],
        spread=_spreads(candidate, answers),
        histories=told,
        training=times,
        remarks=list(dict.fromkeys(remarks)),
    )


def detail(split: str, subject: str, scored: Scored, thresholds: dict[str, float]) -> list[Detail]:
    """All measures of a model at each threshold."""
    rows = []
    for point, measures in intervals(scored, thresholds).items():
        cells = counts(scored, thresholds[point], np.ones(len(scored.labels)))
        tp, fn, tn, fp = (int(cell) for cell in cells)
        rows.append(
            Detail(
                subject=subject,
                split=split,
                operating_point=point,
                threshold=thresholds[point],
                n=len(scored.labels),
                true_positives=tp,
                false_negatives=fn,
                true_negatives=tn,
                false_positives=fp,
                **measures,
            )
        )
    return rows


def _facts(held_out: HeldOut) -> HeldOutFacts:
    normal, pneumonia = (int((held_out.labels == label).sum()) for label in (0, 1))
    return HeldOutFacts(films=normal + pneumonia, normal=normal, pneumonia=pneumonia)


def _details(candidate: Candidate, answers: Answers) -> list[Detail]:
    rows = []
    for name, scored in answers.subjects.items():
        points = candidate.operating_points if name == FUSED else {"paper": PAPER_THRESHOLD}
        rows += detail(answers.split.name, name, scored, dict(points))
    return rows


def _comparisons(candidate: Candidate, answers: Answers, remarks: list[str]) -> list[Comparison]:
    """The fusion against the baseline and the best member, all at the paper's threshold."""
    subjects = answers.subjects
    if candidate.held_out is None:
        rivals = list(MEMBER_NAMES)
        remarks.append(
            "Which member is best is to be settled on held-out films, which the bundle does not hold: "
            "the fusion is compared with each member."
        )
    else:
        rivals = [best_member(candidate.held_out)]
    if BASELINE in subjects:
        rivals.insert(0, BASELINE)
    else:
        remarks.append(
            "The plain CNN is not compared with: "
            + (
                "a bundle holds none."
                if candidate.run is None
                else f"the run has trained none (`pneumo-edge train fit --member {BASELINE}`)."
            )
        )
    thresholds = (PAPER_THRESHOLD, PAPER_THRESHOLD)
    return [
        compare(answers.split.name, (FUSED, rival), (subjects[FUSED], subjects[rival]), thresholds)
        for rival in rivals
    ]


def _combinations(candidate: Candidate, answers: Answers) -> list[Detail]:
    if candidate.held_out is None:
        return []
    rows = []
    for way in alternatives(candidate.held_out, candidate.weight_row, candidate.bias):
        scored = _scored(answers, way.combine(answers.probabilities))
        rows += detail(answers.split.name, way.name, scored, way.thresholds)
    return rows


def _scored(answers: Answers, scores: NDArray[np.float64]) -> Scored:
    return Scored(scores, answers.split.dataset.labels, answers.split.dataset.patients)


def _calibrations(candidate: Candidate, answers: Answers) -> list[Calibration]:
    """Of y clipped and calibrated, of each member's probability and of the baseline's."""
    columns = {"y, clipped": clipped(answers.y)}
    held_out = candidate.held_out
    if held_out is not None:
        columns |= calibrated(candidate.fuse(held_out), held_out.labels, answers.y)
    columns |= {name: s.scores for name, s in answers.subjects.items() if name != FUSED}
    return [
        reliability(answers.split.name, name, _scored(answers, column))
        for name, column in columns.items()
    ]


def _groups(answers: Answers) -> list[Group]:
    fused = answers.subjects[FUSED]
    rows = []
    for attribute, values in answers.split.groups.items():
        for value in np.unique(values):
            inside = values == value
            labels = fused.labels[inside]
            area = None
            if len(set(labels.tolist())) == 2:
                part = fused.where(inside)
                draws = patient_resamples(part, RESAMPLES, SEED)
                area = measure(auc(part, np.ones((1, len(labels)))), auc(part, draws))
            rows.append(
                Group(
                    split=answers.split.name,
                    attribute=attribute,
                    value=str(value),
                    n=len(labels),
                    normal=int((labels == 0).sum()),
                    pneumonia=int((labels == 1).sum()),
                    auc=area,
                )
            )
    return rows


def _roc(split: str, subject: str, scored: Scored) -> Roc:
    false_positives, sensitivity, _ = roc_curve(scored.labels, scored.scores)
    return Roc(
        split=split,
        subject=subject,
        false_positive_rate=[round(float(x), 4) for x in false_positives],
        sensitivity=[round(float(x), 4) for x in sensitivity],
    )


def _spreads(candidate: Candidate, answers: list[Answers]) -> list[ScoreSpread]:
    told = [(a.split.name, a.y, a.split.dataset.labels) for a in answers]
    if candidate.held_out is not None:
        told.insert(0, (HELD_OUT, candidate.fuse(candidate.held_out), candidate.held_out.labels))
    edges = np.linspace(-0.2, 1.2, 36)
    rows = []
    for films, y, labels in told:
        inside = np.clip(y, edges[0], edges[-1])
        normal, pneumonia = (np.histogram(inside[labels == k], edges)[0] for k in (0, 1))
        rows.append(
            ScoreSpread(
                films=films,
                edges=[round(float(edge), 2) for edge in edges],
                normal=normal.tolist(),
                pneumonia=pneumonia.tolist(),
            )
        )
    return rows


def _training(candidate: Candidate, remarks: list[str]) -> tuple[list[History], list[TrainingTime]]:
    """A run's histories and times; a member of another recipe than the run's is remarked on."""
    if candidate.run is None:
        remarks.append("A bundle holds no curves of its training; evaluate its run to see them.")
        return [], []
    run = candidate.run
    told, recipe = histories(run, (*MEMBER_NAMES, BASELINE)), run.recipe()
    strangers = of_other_recipe(told, recipe)
    if strangers:
        remarks.append(
            f"Trained by another recipe than the run's recipe.json ({recipe.name}): {', '.join(strangers)}. "
            "What an image took is not known of them. Train them anew to have one recipe for all."
        )
    return list(told.values()), training_times(told, recipe, run.split(), strangers)
