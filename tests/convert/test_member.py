"""The accuracy-aware loop, on a member that is broken on purpose."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from convert.export import FloatBackbone, export
from convert.head import logits
from convert.member import (
    ConvertedMember,
    MemberOptions,
    agree,
    convert_member,
    films_that_fit,
    quantized_features,
    within,
)
from convert.network import read_network
from convert.quantize import SCHEMES, Scheme
from convert.representative import RepresentativeSet
from convert.sensitivity import Noise
from train.recipe import MemberBudget

MakeMember = Callable[[float], Any]
BUDGET = 0.01
MEAN_ALONE = MemberBudget(BUDGET, math.inf)


@pytest.fixture(scope="module")
def chosen(more_pixels: NDArray[np.uint8]) -> RepresentativeSet:
    return RepresentativeSet((), more_pixels[:14], more_pixels[14:], seed=0)


def converted(member: Any, chosen: RepresentativeSet, scheme: Scheme = "int8") -> ConvertedMember:
    return convert_member(member, chosen, MemberOptions(scheme, MEAN_ALONE, threads=1))


def answers(made: ConvertedMember, films: NDArray[np.uint8]) -> NDArray[np.float64]:
    logit = logits(made.classifier, quantized_features(made.tflite, films, threads=1))
    return np.asarray(1 / (1 + np.exp(-logit)))


@pytest.fixture(scope="module")
def healthy(small_member: MakeMember, chosen: RepresentativeSet) -> ConvertedMember:
    return converted(small_member(0.0), chosen)


@pytest.fixture(scope="module")
def mended(small_member: MakeMember, chosen: RepresentativeSet) -> ConvertedMember:
    return converted(small_member(4000.0), chosen)


def test_a_member_within_budget_is_int8_throughout(healthy: ConvertedMember) -> None:
    assert healthy.scheme == SCHEMES["int8"]
    (trial,) = healthy.report.trials
    assert trial.left_in_float == []
    assert healthy.report.ranking == []
    assert trial.mean_abs_dp == healthy.report.check_mean_abs_dp <= BUDGET


def test_the_broken_layer_is_found_and_left_in_float(mended: ConvertedMember) -> None:
    first, *_, last = mended.report.trials
    assert first.left_in_float == []
    assert first.mean_abs_dp > BUDGET
    assert last.mean_abs_dp <= BUDGET
    assert "broken" in mended.report.ranking[0][0]
    assert last.left_in_float[0] == mended.report.ranking[0][0]
    assert mended.scheme.startswith(SCHEMES["int8"])
    assert "layers in float32" in mended.scheme


def test_a_member_that_would_move_undecided_films_too_far_is_not_within_budget(
    small_member: MakeMember, healthy: ConvertedMember, chosen: RepresentativeSet
) -> None:
    (plain,) = healthy.report.trials
    assert within(plain, MEAN_ALONE)
    stricter = MemberBudget(BUDGET, plain.undecided_dp * 0.9)
    assert not within(plain, stricter)
    made = convert_member(small_member(0.0), chosen, MemberOptions("int8", stricter, threads=1))
    assert len(made.report.trials) > 1
    assert made.report.trials[0] == plain
    assert made.report.trials[-1].undecided_dp <= stricter.undecided_dp


def test_an_undecided_film_moves_by_a_quarter_of_what_its_logit_is_off(
    small_member: MakeMember, healthy: ConvertedMember, chosen: RepresentativeSet
) -> None:
    exact = np.asarray(small_member(0.0)(chosen.check.astype(np.float32), training=False))[:, 0]
    p = answers(healthy, chosen.check)
    off = np.log(p / (1 - p)) - np.log(exact / (1 - exact.astype(np.float64)))
    expected = 0.25 * 3 * np.sqrt(np.mean(off**2))
    assert healthy.report.trials[-1].undecided_dp == pytest.approx(expected, rel=0.01)


def test_a_member_that_is_hardly_over_budget_is_made_finer(
    small_member: MakeMember,
    healthy: ConvertedMember,
    chosen: RepresentativeSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The small member's first layer is most of its cost, and copies take more memory.
    monkeypatch.setattr("convert.finer.EXTRA", 3.0)
    held = {False: 14, True: 10}
    monkeypatch.setattr("convert.member.films_that_fit", lambda b: held[bool(b.copies)])
    (plain,) = healthy.report.trials
    budget = MemberBudget(BUDGET, plain.undecided_dp * 0.96)
    made = convert_member(small_member(0.0), chosen, MemberOptions("int8", budget, threads=1))
    first, *_, last = made.report.trials
    assert first == plain
    assert last.undecided_dp <= budget.undecided_dp
    assert set(last.finer.values()) <= {2, 4}
    assert made.scheme == f"static-int8, {len(last.finer)} activations in copies"
    assert last.left_in_float == []
    assert made.report.fitted_films == held[True]


def test_the_trade_is_told(mended: ConvertedMember) -> None:
    first, *_, last = mended.report.trials
    assert last.bytes == len(mended.tflite)
    assert last.bytes > first.bytes


def test_a_mended_member_answers_as_the_float_one_did(
    small_member: MakeMember, mended: ConvertedMember, chosen: RepresentativeSet
) -> None:
    member = small_member(4000.0)
    exact = np.asarray(member(chosen.check.astype(np.float32), training=False))[:, 0]
    moved = np.abs(answers(mended, chosen.check) - exact)
    assert moved.mean() == pytest.approx(mended.report.check_mean_abs_dp, abs=1e-4)
    assert moved.mean() <= BUDGET


def test_a_mended_member_is_still_one_partition(mended: ConvertedMember) -> None:
    interpreter = Interpreter(model_content=mended.tflite)
    interpreter.allocate_tensors()
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1


@pytest.mark.parametrize("scheme", ["dynamic", "int16", "float16"])
def test_other_schemes_answer_too(
    small_member: MakeMember, chosen: RepresentativeSet, scheme: Scheme
) -> None:
    made = converted(small_member(0.0), chosen, scheme)
    assert made.scheme == SCHEMES[scheme]
    assert made.report.check_mean_abs_dp <= BUDGET


def test_two_sets_that_differ_by_more_than_their_spread_do_not_agree() -> None:
    rng = np.random.default_rng(0)
    one, same = rng.gamma(1, 0.004, (2, 100))
    assert agree(one, same)
    assert not agree(one, same + 0.01)


def test_as_many_films_are_fitted_on_as_memory_holds(small: FloatBackbone) -> None:
    film, first = 150 * 150 * 4, 38 * 38 * 8 * 4  # bytes of the film and of the first map
    # What is read and what is made, in both walks, and the copies.
    each = 2 * (film + first) + 3 * first
    assert films_that_fit(small, memory=3.5 * each) == 3
    assert films_that_fit(small, memory=1.0) == 1


def test_what_did_not_do_is_not_tried_again(
    small_member: MakeMember,
    healthy: ConvertedMember,
    chosen: RepresentativeSet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("convert.finer.EXTRA", 10.0)
    # As if all came from the first layer: its copies are doubled as long as they may be.
    first = read_network(export(small_member(0.0)).tflite).layers[0].output
    noise = Noise({first: 1.0}, 0.0)
    monkeypatch.setattr("convert.member.measure_noise", lambda *_: noise)
    (plain,) = healthy.report.trials
    budget = MemberBudget(BUDGET, plain.undecided_dp * 0.6)
    made = convert_member(small_member(0.0), chosen, MemberOptions("int8", budget, threads=1))
    tried = [(tuple(t.finer.items()), tuple(t.left_in_float)) for t in made.report.trials]
    assert len(tried) > 3, "copies, more copies, layers in float"
    assert len(set(tried)) == len(tried)
    assert made.report.trials[-1].undecided_dp <= budget.undecided_dp
