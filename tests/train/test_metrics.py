from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from pneumo_edge.errors import DatasetError
from train.metrics import (
    Scored,
    auc,
    average_precision,
    counts,
    figures,
    intervals,
    patient_resamples,
    rates,
)


def scored(seed: int, n: int = 120, films_each: int = 1, skill: float = 1.0) -> Scored:
    """n patients with a film, or the same film several times."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n) % 3 > 0, films_each).astype(np.int64)
    scores = np.repeat(rng.normal(size=n), films_each) + skill * labels
    patients = np.repeat(np.array([f"p{k}" for k in range(n)]), films_each)
    return Scored(1 / (1 + np.exp(-scores)), labels, patients)


@given(seed=st.integers(0, 10_000), threshold=st.floats(0.05, 0.95), n=st.integers(6, 60))
def test_rates_are_those_of_scikit_learn(seed: int, threshold: float, n: int) -> None:
    films = scored(seed, n)
    said = (films.scores > threshold).astype(int)
    got = rates(counts(films, threshold, np.ones(n)))
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(films.labels, said),
        "sensitivity": sklearn.metrics.recall_score(films.labels, said),
        "specificity": sklearn.metrics.recall_score(films.labels, said, pos_label=0),
        "f1": sklearn.metrics.f1_score(films.labels, said),
        "precision": sklearn.metrics.precision_score(films.labels, said, zero_division=0),
    }
    for name in ("precision", "recall", "f1"):
        score = getattr(sklearn.metrics, f"{name}_score")
        expected[f"{name}_macro"] = score(films.labels, said, average="macro", zero_division=0)
    assert got == pytest.approx(expected)


def test_a_weight_counts_a_film_so_often() -> None:
    films = scored(1, 30)
    weights = np.random.default_rng(2).integers(0, 4, 30).astype(float)
    rows = np.repeat(np.arange(30), weights.astype(int))
    repeated = Scored(films.scores[rows], films.labels[rows], films.patients[rows])
    np.testing.assert_array_equal(
        counts(films, 0.5, weights), counts(repeated, 0.5, np.ones(len(rows)))
    )


@given(seed=st.integers(0, 10_000), n=st.integers(6, 60), levels=st.sampled_from([3, 1000]))
def test_area_and_average_precision_are_those_of_scikit_learn_in_every_draw(
    seed: int, n: int, levels: int
) -> None:
    films = scored(seed, n)
    films = Scored(np.round(films.scores * levels) / levels, films.labels, films.patients)
    weights = patient_resamples(films, 3, seed)
    expected = [
        sklearn.metrics.roc_auc_score(films.labels, films.scores, sample_weight=draw)
        for draw in weights
    ]
    np.testing.assert_allclose(auc(films, weights), expected, atol=1e-12)
    expected = [
        sklearn.metrics.average_precision_score(films.labels, films.scores, sample_weight=draw)
        for draw in weights
    ]
    np.testing.assert_allclose(average_precision(films, weights), expected, atol=1e-12)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    films = scored(3, 90)
    ill, well = films.scores[films.labels == 1], films.scores[films.labels == 0]
    pairs = (ill[:, None] > well).mean() + (ill[:, None] == well).mean() / 2
    assert intervals(films, {"paper": 0.5})["paper"]["auc"].value == pytest.approx(pairs, abs=1e-4)


def test_an_interval_is_the_same_each_time_and_holds_its_value() -> None:
    films = scored(4)
    one, again = intervals(films, {"a": 0.4, "b": 0.6}), intervals(films, {"a": 0.4, "b": 0.6})
    assert one == again
    for measures in one.values():
        for measure in measures.values():
            assert 0 <= measure.low <= measure.value <= measure.high <= 1
            assert measure.low < measure.high


def test_an_interval_has_the_width_that_theory_gives() -> None:
    films = scored(5, 600)
    sensitivity = intervals(films, {"paper": 0.5})["paper"]["sensitivity"]
    p, n = sensitivity.value, int(films.labels.sum())
    expected = 2 * 1.96 * np.sqrt(p * (1 - p) / n)
    assert sensitivity.high - sensitivity.low == pytest.approx(expected, rel=0.15)


def test_films_of_the_same_patient_make_no_interval_narrower() -> None:
    once = intervals(scored(6), {"paper": 0.5})["paper"]
    five_times = intervals(scored(6, films_each=5), {"paper": 0.5})["paper"]
    assert five_times == once


def test_a_draw_takes_patients_whole_and_keeps_the_number_of_each_class() -> None:
    films = scored(7, 40, films_each=2)
    weights = patient_resamples(films, 50, seed=1)
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])
    for label in (0, 1):
        of_class = weights[:, films.labels == label]
        assert set(of_class.sum(axis=1)) == {float(of_class.shape[1])}


def test_rows_name_what_they_measure() -> None:
    films = scored(8)
    rows = figures("vgg16", "int8", "test", films, {"paper": 0.5, "screening": 0.3})
    assert [
        (r.subject, r.precision, r.split, r.operating_point, r.threshold, r.n) for r in rows
    ] == [
        ("vgg16", "int8", "test", "paper", 0.5, 120),
        ("vgg16", "int8", "test", "screening", 0.3, 120),
    ]
    assert rows[0].auc == rows[1].auc
    assert rows[0].sensitivity.value < rows[1].sensitivity.value


def test_films_of_one_class_alone_cannot_be_measured() -> None:
    with pytest.raises(DatasetError, match=r"labels \[1\] only"):
        Scored(np.array([0.1, 0.2]), np.array([1, 1]), np.array(["a", "b"]))
