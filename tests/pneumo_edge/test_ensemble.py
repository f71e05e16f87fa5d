"""The runtime against the same models, run by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pneumo_edge import threads
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Decision, Ensemble
from pneumo_edge.errors import EngineError
from pneumo_edge.framing import find, framed, read_template
from pneumo_edge.prepare import prepare
from pneumo_edge.types import SIDE, InputTensor, Interval

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the engine cpu is not installed")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def by_hand(bundle: Bundle, name: str, tensor: InputTensor) -> float:
    """One member's logit, with the built-in kernels instead of XNNPACK's."""
    resolver = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    file = next(member.file for member in bundle.manifest.members if member.name == name)
    backbone = litert.Interpreter(str(bundle.path / file), experimental_op_resolver_type=resolver)
    backbone.allocate_tensors()
    (source,), (target,) = backbone.get_input_details(), backbone.get_output_details()
    pixels = (tensor.pixels.astype(np.int16) - 128).astype(np.int8)
    backbone.set_tensor(source["index"], pixels)
    backbone.invoke()
    scale, zero_point = target["quantization"]
    features = (backbone.get_tensor(target["index"]).astype(np.float64) - zero_point) * scale
    head = litert.Interpreter(str(bundle.path / bundle.manifest.head))
    run = head.get_signature_runner(f"classify_{name}")
    return float(run(features=features.astype(np.float32))["logit"].item())


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_a_member_answers_as_the_reference_kernels_do(
    bundle: Bundle, name: str, film: Path
) -> None:
    tensor = prepare(decode_file(film))
    ensemble = Ensemble(bundle, choose("cpu"), threads.available())
    found = {score.name: score for score in ensemble.score(tensor).members}[name]
    seen, _ = framed(read_template(bundle), tensor)
    expected = by_hand(bundle, name, seen)
    # The kernels round differently by up to one step of int8 in every layer.
    assert found.logit == pytest.approx(expected, abs=0.15), f"{found.logit} and {expected}"
    assert found.probability == pytest.approx(1 / (1 + np.exp(-found.logit)), abs=1e-5)


def test_the_same_tensor_gives_the_same_answer_every_time(
    bundle: Bundle, grey: NDArray[np.uint8]
) -> None:
    ensemble = Ensemble(bundle, choose("cpu"), 1)
    tensor = InputTensor(np.ascontiguousarray(grey[:SIDE, :SIDE]).reshape(1, SIDE, SIDE, 1))
    first, second = ensemble.score(tensor), ensemble.score(tensor)
    other = ensemble.score(InputTensor(255 - tensor.pixels))
    assert first.y == second.y
    assert first.y != other.y
    assert [score.name for score in first.members] == bundle.manifest.evaluation_order


@pytest.mark.parametrize("early_exit", [False, True])
def test_a_decision_says_where_the_members_looked(
    bundle: Bundle, film: Path, early_exit: bool
) -> None:
    tensor = prepare(decode_file(film))
    decision = Ensemble(bundle, choose("cpu"), 1).decide(tensor, 0.5, early_exit)
    template = read_template(bundle)
    assert template is not None
    assert decision.frame == find(template, tensor)


@pytest.fixture(scope="module")
def loaded(bundle: Bundle) -> Ensemble:
    return Ensemble(bundle, choose("cpu"), 1)


@given(
    p=st.lists(st.floats(0, 1, width=32) | st.sampled_from([0.0, 1.0]), min_size=4, max_size=4),
    ran=st.sets(st.integers(0, 3)),
)
@settings(max_examples=300)
def test_the_heads_own_y_lies_in_every_interval(
    loaded: Ensemble, p: list[float], ran: set[int]
) -> None:
    interval = loaded.fusion.interval({member: p[member] for member in ran})
    assert interval.low <= loaded._fuse(p) <= interval.high


def test_early_exit_gives_the_label_of_all_members_in_every_order(
    bundle: Bundle, loaded: Ensemble, grey: NDArray[np.uint8]
) -> None:
    square = np.ascontiguousarray(grey[:SIDE, :SIDE]).reshape(1, SIDE, SIDE, 1)
    tensor = InputTensor(square)
    votes = loaded.score(tensor)
    alone = {vote.name: vote.probability for vote in votes.members}
    # y itself, and what lies beside it: where a bound that forgot to round would be wrong.
    thresholds = [votes.y, float(np.nextafter(votes.y, -9)), float(np.nextafter(votes.y, 9)), 0.5]
    names = [member.name for member in bundle.manifest.members]
    stopped = 0
    some = itertools.islice(itertools.permutations(names), 0, None, 3)
    for order, threshold in zip(some, itertools.cycle(thresholds)):
        found = loaded.decide(tensor, threshold, early_exit=True, order=order)
        assert found.label == ("pneumonia" if votes.y > threshold else "normal")
        assert [vote.name for vote in found.members] == list(order[: len(found.members)])
        assert all(vote.probability == alone[vote.name] for vote in found.members)
        if found.interval is None:
            assert (found.y, len(found.members)) == (votes.y, 4)
        else:
            assert found.y is None
            assert found.interval.low <= votes.y <= found.interval.high
            stopped += len(found.members) < 4
    assert stopped, "no order stopped early"


def test_early_exit_says_indeterminate_where_all_members_do(
    bundle: Bundle, loaded: Ensemble, grey: NDArray[np.uint8]
) -> None:
    tensor = InputTensor(np.ascontiguousarray(grey[:SIDE, :SIDE]).reshape(1, SIDE, SIDE, 1))
    y = loaded.score(tensor).y
    beside = float(np.nextafter(y, 9))
    bands = [
        (y, Interval(y, y)),
        (y - 0.3, Interval(y - 0.4, float(np.nextafter(y, -9)))),
        (beside, Interval(beside, beside)),
        (y - 2.0, Interval(y - 3, y + 3)),  # wide enough for an early exit inside it
        (y - 2.0, Interval(y - 2.1, y - 1.9)),
    ]
    names = [member.name for member in bundle.manifest.members]
    exits = set()
    for order in itertools.islice(itertools.permutations(names), 0, None, 5):
        for threshold, band in bands:
            whole = loaded.decide(tensor, threshold, band=band)
            early = loaded.decide(tensor, threshold, True, order, band)
            assert whole.indeterminate == (band.low <= y <= band.high)
            assert (early.label, early.indeterminate) == (whole.label, whole.indeterminate)
            exits.add((early.indeterminate, early.interval is not None))
    assert {(True, True), (False, True), (True, False), (False, False)} == exits
    assert loaded.decide(tensor, 0.5).indeterminate is None


def test_a_member_that_is_not_needed_is_not_loaded(bundle: Bundle, film: Path) -> None:
    ensemble = Ensemble(bundle, choose("cpu"), 1)
    found = ensemble.decide(prepare(decode_file(film)), -100.0, early_exit=True, order=ORDER)
    assert isinstance(found, Decision)
    assert (found.label, len(found.members)) == ("pneumonia", 1)
    assert list(ensemble._backbones) == [ORDER[0]]


ORDER = ("xception", "vgg16", "vgg19", "resnet50")


def test_members_side_by_side_answer_as_one_after_the_other(
    bundle: Bundle, loaded: Ensemble, film: Path
) -> None:
    tensor = prepare(decode_file(film))
    found = Ensemble(bundle, choose("cpu"), 1, side_by_side=9).score(tensor)
    expected = loaded.score(tensor)
    assert found.y == expected.y
    assert [vote.name for vote in found.members] == [vote.name for vote in expected.members]
    assert [vote.logit for vote in found.members] == [vote.logit for vote in expected.members]


@pytest.mark.parametrize("asked", [0, -1, 100_000])
def test_threads_that_are_not_there_are_refused(bundle: Bundle, asked: int) -> None:
    with pytest.raises(EngineError, match=f"{asked} threads are not in the range 1 to"):
        Ensemble(bundle, choose("cpu"), asked)
