from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from pneumo_edge.manifest import MEMBER_NAMES
from train.alternatives import alternatives, best_member, weight_intervals
from train.candidate import Candidate
from train.fuse import balanced_threshold, linear_fusion
from train.held_out import HeldOut


@pytest.fixture(name="held_out")
def held(candidate: Candidate) -> HeldOut:
    assert candidate.held_out is not None
    return candidate.held_out


def test_the_best_member_is_chosen_by_area_on_the_held_out_films(held_out: HeldOut) -> None:
    areas = {
        name: roc_auc_score(held_out.labels, column)
        for name, column in zip(MEMBER_NAMES, held_out.probabilities.T, strict=True)
    }
    assert areas[best_member(held_out)] == max(areas.values())
    better = held_out.probabilities.copy()
    better[:, 3] = held_out.labels
    assert best_member(HeldOut(better, held_out.labels, None)) == "xception"


def test_each_way_to_combine_is_what_its_name_says(held_out: HeldOut, candidate: Candidate) -> None:
    ways = {a.name: a for a in alternatives(held_out, candidate.weight_row, candidate.bias)}
    p = np.random.default_rng(5).random((20, 4))
    best = best_member(held_out)
    stacked = LogisticRegression().fit(held_out.probabilities, held_out.labels)
    expected = {
        "linear fusion": p @ [0.5, 0.2, 0.4, -0.1] + 0.05,
        "plain mean": p.sum(axis=1) / 4,
        "logistic stacking": stacked.predict_proba(p)[:, 1],
        f"best member ({best})": p[:, MEMBER_NAMES.index(best)],
    }
    assert set(ways) == set(expected)
    for name, way in ways.items():
        np.testing.assert_allclose(way.combine(p), expected[name], atol=1e-12)
        scores = way.combine(held_out.probabilities)
        balanced = balanced_threshold(scores, held_out.labels)
        assert way.thresholds == {"paper": 0.5, "balanced": balanced}


def test_weights_have_intervals_where_the_patients_are_known(held_out: HeldOut) -> None:
    told = weight_intervals(held_out)
    assert told is not None
    weights, _ = linear_fusion(held_out.probabilities, held_out.labels)
    for name, weight in zip(MEMBER_NAMES, weights, strict=True):
        assert told[name].value == pytest.approx(weight, abs=1e-4)
        assert told[name].low < told[name].value < told[name].high
    assert msgspec.json.decode(msgspec.json.encode(told)).keys() == set(MEMBER_NAMES)
    assert weight_intervals(HeldOut(held_out.probabilities, held_out.labels, None)) is None
