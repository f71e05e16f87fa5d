from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import sklearn.metrics

from train.assembly import summarise
from train.calibration import clipped
from train.candidate import Candidate
from train.evaluate import Answers
from train.summary import EnsembleSummary, Summary


@pytest.fixture(name="told")
def ensemble(summary: Summary) -> EnsembleSummary:
    return summary.ensembles[0]


def test_the_summary_survives_its_json(summary: Summary) -> None:
    text = msgspec.json.encode(summary)
    assert msgspec.json.decode(text, type=Summary) == summary
    assert summary.schema == 1


def test_every_measure_is_that_of_scikit_learn(
    told: EnsembleSummary, answers: list[Answers]
) -> None:
    subjects = {(a.split.name, name): s for a in answers for name, s in a.subjects.items()}
    assert {(r.split, r.subject) for r in told.details} == set(subjects)
    for row in told.details:
        scored = subjects[row.split, row.subject]
        said = (scored.scores > row.threshold).astype(int)
        matrix = (
            (row.true_negatives, row.false_positives),
            (row.false_negatives, row.true_positives),
        )
        np.testing.assert_array_equal(matrix, sklearn.metrics.confusion_matrix(scored.labels, said))
        assert row.auc.value == pytest.approx(
            sklearn.metrics.roc_auc_score(scored.labels, scored.scores), abs=1e-4
        )
        expected = sklearn.metrics.classification_report(
            scored.labels, said, output_dict=True, zero_division=0
        )
        for name, ours in (
            ("precision", "precision"),
            ("recall", "sensitivity"),
            ("f1-score", "f1"),
        ):
            assert getattr(row, ours).value == pytest.approx(expected["1"][name], abs=1e-4)
            macro = "f1_macro" if name == "f1-score" else f"{name}_macro"
            value = getattr(row, macro).value
            assert value == pytest.approx(expected["macro avg"][name], abs=1e-4)


def test_the_fusion_is_read_at_each_operating_point_and_the_others_at_half(
    told: EnsembleSummary, candidate: Candidate
) -> None:
    fused = {r.operating_point: r.threshold for r in told.details if r.subject == "fused"}
    assert fused == candidate.operating_points
    assert {r.threshold for r in told.details if r.subject != "fused"} == {0.5}


def test_the_fusion_is_compared_with_the_baseline_and_the_best_member(
    told: EnsembleSummary,
) -> None:
    rivals = [(c.split, c.other) for c in told.comparisons]
    best = next(r.subject for r in told.combinations if r.subject.startswith("best member"))
    name = best.removeprefix("best member (").removesuffix(")")
    assert rivals == [(s, o) for s in ("test", "elsewhere") for o in ("cnn", name)]


def test_a_group_of_one_class_has_no_area_and_the_others_have_theirs(
    told: EnsembleSummary, answers: list[Answers]
) -> None:
    elsewhere = answers[1]
    labels, views = elsewhere.split.dataset.labels, elsewhere.split.groups["view"]
    groups = {g.value: g for g in told.groups}
    assert set(groups) == {"AP", "LL", "PA"}
    assert groups["LL"].auc is None
    assert groups["LL"].pneumonia == 0
    for view in ("AP", "PA"):
        inside = views == view
        expected = sklearn.metrics.roc_auc_score(labels[inside], elsewhere.y[inside])
        area = groups[view].auc
        assert area is not None
        assert area.value == pytest.approx(expected, abs=1e-4)
        assert groups[view].normal + groups[view].pneumonia == groups[view].n == inside.sum()


def test_calibration_is_fitted_on_held_out_films_and_measured_on_these(
    told: EnsembleSummary, answers: list[Answers]
) -> None:
    rows = {r.subject: r for r in told.calibration if r.split == "test"}
    members = ["vgg16", "vgg19", "resnet50", "xception", "cnn"]
    assert list(rows) == ["y, clipped", "y, Platt", "y, isotonic", *members]
    test = answers[0]
    brier = sklearn.metrics.brier_score_loss(test.split.dataset.labels, clipped(test.y))
    assert rows["y, clipped"].brier.value == pytest.approx(brier, abs=1e-4)


def test_a_spread_holds_every_film(told: EnsembleSummary, answers: list[Answers]) -> None:
    spread = {row.films: row for row in told.spread}
    assert list(spread) == ["held out", "test", "elsewhere"]
    for row in (spread[a.split.name] for a in answers):
        labels = next(a for a in answers if a.split.name == row.films).split.dataset.labels
        assert [sum(row.normal), sum(row.pneumonia)] == np.bincount(labels).tolist()


def test_without_held_out_films_what_needs_them_is_left_out_and_said(
    candidate: Candidate, answers: list[Answers]
) -> None:
    told = summarise(replace(candidate, held_out=None), answers[:1])
    assert told.held_out is None
    assert told.weight_intervals is None
    assert told.combinations == []
    assert not {"y, Platt", "y, isotonic"} & {row.subject for row in told.calibration}
    members = ["vgg16", "vgg19", "resnet50", "xception"]
    assert [row.other for row in told.comparisons] == ["cnn", *members]
    assert any("holds no held_out.npz" in said for said in told.remarks)


def test_without_a_baseline_that_is_said(candidate: Candidate, answers: list[Answers]) -> None:
    told = summarise(candidate, [replace(answers[0], baseline=None)])
    assert "cnn" not in {row.subject for row in told.details}
    assert len(told.comparisons) == 1
    assert any("plain CNN is not compared with" in said for said in told.remarks)
