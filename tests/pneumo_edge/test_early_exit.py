"""Early exit gives the label that the whole ensemble gives, whatever the fusion and the films."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pneumo_edge.early_exit import Fusion, replay, search_order
from pneumo_edge.errors import BundleError
from pneumo_edge.types import Interval

F32 = np.float32
Fuse = Callable[[Sequence[float]], float]


def forwards(weights: list[float], bias: float, p: Sequence[float]) -> float:
    """Products rounded, summed from the left, the bias last, as a plain kernel does."""
    total = F32(0)
    for w, x in zip(weights, p, strict=True):
        total = F32(total + F32(F32(w) * F32(x)))
    return float(F32(total + F32(bias)))


def pairwise(weights: list[float], bias: float, p: Sequence[float]) -> float:
    """Lanes of a vector unit, added up at the end; the bias first."""
    a, b, c, d = (F32(F32(w) * F32(x)) for w, x in zip(weights, p, strict=True))
    return float(F32(F32(F32(bias) + F32(a + c)) + F32(b + d)))


def fused(weights: list[float], bias: float, p: Sequence[float]) -> float:
    """Multiply-add with one rounding, from the right, starting at the bias."""
    total = F32(bias)
    for w, x in reversed(list(zip(weights, p, strict=True))):
        exact = Fraction(float(F32(w))) * Fraction(float(F32(x))) + Fraction(float(total))
        total = F32(float(exact))
    return float(total)


KERNELS = (forwards, pairwise, fused)
NUMBER = st.floats(-8, 8, width=32) | st.sampled_from([0.0, 1.0, -1.0, 2.0**-140, 1e-30])
PROBABILITY = (
    st.floats(0, 1, width=32)
    | st.sampled_from([0.0, 1.0, 0.5])
    | st.integers(0, 255).map(lambda q: q / 256)  # what an int8 sigmoid can say
)
FOUR = st.permutations(range(4)).map(tuple)


def decide(
    fusion: Fusion,
    p: list[float],
    order: Sequence[int],
    threshold: float,
    y: float,
    band: Interval | None = None,
) -> tuple[str, bool]:
    """Member by member, as the runtime goes; the whole ensemble's y has to lie in every interval."""
    known: dict[int, float] = {}
    for member in (None, *order):
        if member is not None:
            known[member] = p[member]
        interval = fusion.interval(known)
        assert interval.low <= y <= interval.high, f"{y} is outside {interval}, knowing {known}"
        label, inside = interval.label(threshold), interval.inside(band) if band else False
        if label is not None and inside is not None and len(known) < len(p):
            return label, inside
    return answer(y, threshold, band)


def answer(y: float, threshold: float, band: Interval | None) -> tuple[str, bool]:
    """The label, and whether it is indeterminate, by the definition."""
    inside = band is not None and band.low <= y <= band.high
    return "pneumonia" if y > threshold else "normal", inside


@given(
    weights=st.lists(NUMBER, min_size=4, max_size=4),
    bias=NUMBER,
    p=st.lists(PROBABILITY, min_size=4, max_size=4),
    order=FOUR,
    threshold=st.floats(-4, 4) | st.sampled_from([0.5, "tie", "above", "below"]),
    kernel=st.sampled_from(KERNELS),
)
@example([0.25, 0.25, 0.25, 0.25], 0.0, [1.0, 1.0, 0.0, 0.0], (0, 1, 2, 3), 0.5, forwards)
@example([1.0, -1.0, 0.0, 0.0], 0.5, [0.0, 0.0, 1.0, 1.0], (2, 3, 0, 1), 0.5, fused)
def test_the_label_is_never_another_than_the_whole_ensembles(
    weights: list[float],
    bias: float,
    p: list[float],
    order: tuple[int, ...],
    threshold: float | str,
    kernel: Callable[[list[float], float, Sequence[float]], float],
) -> None:
    fusion = Fusion.probe(lambda corner: kernel(weights, bias, corner), 4, "head")
    y = kernel(weights, bias, p)
    if isinstance(threshold, str):
        away = {"tie": y, "above": math.inf, "below": -math.inf}[threshold]
        threshold = y if away == y else float(np.nextafter(y, away))
    assert decide(fusion, p, order, threshold, y) == answer(y, threshold, None)


@given(
    weights=st.lists(NUMBER, min_size=4, max_size=4),
    bias=NUMBER,
    p=st.lists(PROBABILITY, min_size=4, max_size=4),
    order=FOUR,
    threshold=st.floats(-4, 4) | st.just("tie"),
    below=st.floats(0, 3) | st.sampled_from(["tie", "above", "below"]),
    above=st.floats(0, 3) | st.sampled_from(["tie", "above", "below"]),
    kernel=st.sampled_from(KERNELS),
)
@example([0.5, 0.5, 0.5, 0.5], 0.0, [0.5, 0.5, 0.5, 0.5], (0, 1, 2, 3), 1.0, 1.0, 1.0, forwards)
@example([1.0, 0.0, 0.0, 0.0], 0.0, [0.5, 1.0, 1.0, 1.0], (0, 1, 2, 3), "tie", 0.0, 0.0, fused)
def test_nor_is_it_indeterminate_where_the_whole_ensembles_is_not(
    weights: list[float],
    bias: float,
    p: list[float],
    order: tuple[int, ...],
    threshold: float | str,
    below: float | str,
    above: float | str,
    kernel: Callable[[list[float], float, Sequence[float]], float],
) -> None:
    """With ends of the band that y itself sits on, or the next float beside it."""
    fusion = Fusion.probe(lambda corner: kernel(weights, bias, corner), 4, "head")
    y = kernel(weights, bias, p)
    cut = y if isinstance(threshold, str) else threshold
    beside = {"tie": y, "above": np.nextafter(y, math.inf), "below": np.nextafter(y, -math.inf)}
    low = float(beside[below]) if isinstance(below, str) else cut - below
    high = float(beside[above]) if isinstance(above, str) else cut + above
    band = Interval(min(low, cut), max(high, cut))
    assert decide(fusion, p, order, cut, y, band) == answer(y, cut, band)


@pytest.mark.parametrize(
    ("low", "high", "inside"),
    [
        (0.3, 0.6, True),
        (0.31, 0.5, True),
        (0.1, 0.29, False),
        (0.61, 0.9, False),
        (0.1, 0.3, None),  # y may be the band's end, which is in it
        (0.6, 0.9, None),
        (0.2, 0.8, None),
    ],
)
def test_both_ends_of_a_band_are_in_it(low: float, high: float, inside: bool | None) -> None:
    assert Interval(low, high).inside(Interval(0.3, 0.6)) is inside


def test_the_margin_is_float32s_and_no_more() -> None:
    fusion = Fusion.probe(lambda p: forwards([-0.25, 0.08, 1.0, 0.14], 0.05, p), 4, "head")
    assert 0 < fusion.margin < 1e-6
    interval = fusion.interval({2: 0.75})
    assert interval.low == pytest.approx(0.05 + 0.75 - 0.25, abs=1e-6)
    assert interval.high == pytest.approx(0.05 + 0.75 + 0.08 + 0.14, abs=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "label"),
    [
        (0.5, 0.9, None),  # y may be the threshold itself, which is normal
        (0.5000001, 0.9, "pneumonia"),
        (0.1, 0.5, "normal"),
        (0.1, 0.5000001, None),
    ],
)
def test_a_tie_is_normal(low: float, high: float, label: str | None) -> None:
    assert Interval(low, high).label(0.5) == label


def test_a_fusion_that_is_not_linear_is_refused() -> None:
    with pytest.raises(BundleError, match="does not fuse linearly"):
        Fusion.probe(max, 4, "head.tflite")


FILMS = st.lists(st.lists(PROBABILITY, min_size=4, max_size=4), min_size=1, max_size=30)


@given(
    weights=st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4),
    films=FILMS,
    costs=st.lists(st.floats(0.5, 100), min_size=4, max_size=4),
    threshold=st.floats(-0.5, 1),
    width=st.none() | st.floats(0, 0.5),
)
def test_the_order_found_is_the_cheapest_that_can_be_played(
    weights: list[float],
    films: list[list[float]],
    costs: list[float],
    threshold: float,
    width: float | None,
) -> None:
    band = None if width is None else Interval(threshold - width, threshold + width / 2)
    fusion = Fusion.probe(lambda p: forwards(weights, 0.1, p), 4, "head")
    p = np.array(films, np.float32)
    found = search_order(fusion, p, costs, threshold, band)
    plays = {
        order: replay(fusion, p, costs, threshold, order, band=band)
        for order in itertools.permutations(range(4))
    }
    assert found.share == pytest.approx(plays[found.members].share)
    assert found.share <= min(play.share for play in plays.values()) + 1e-9
    for play in plays.values():
        assert play.flips == 0
        assert sum(play.ran) == play.n == len(films)
        assert play.share <= 1 + 1e-9  # a sum of quotients


def test_a_replay_counts_what_was_run() -> None:
    # x1 alone decides unless it is 0.5: then x2 does.
    fusion = Fusion.probe(lambda p: forwards([1.0, 0.5, 0.0, 0.0], -0.25, p), 4, "head")
    p = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0.5, 1, 0, 0], [0.5, 0, 0, 0]], np.float32)
    play = replay(fusion, p, [3.0, 1.0, 1.0, 5.0], 0.5, (0, 1, 2, 3))
    assert play.ran == (0, 2, 2, 0, 0)
    assert play.share == pytest.approx((2 * 3 + 2 * 4) / (4 * 10))
    assert play.mean_members == 1.5
    told = replay(fusion, p, [1.0] * 4, 0.5, (0, 1, 2, 3), y=np.array([0.0, 0.25, 0.75, 0.25]))
    assert told.flips == 1, "the first film's whole y was said to be below the threshold"
    # Now 0.25 is indeterminate too: the second and the fourth film need x2, the third both.
    band = Interval(0.2, 0.6)
    play = replay(fusion, p, [3.0, 1.0, 1.0, 5.0], 0.5, (0, 1, 2, 3), band=band)
    assert (play.ran, play.flips) == ((0, 1, 3, 0, 0), 0)
    told = replay(
        fusion, p, [1.0] * 4, 0.5, (0, 1, 2, 3), y=np.array([0.75, 0.1, 0.5, 0.3]), band=band
    )
    assert told.flips == 2, "the second and the third film's whole y were said to lie elsewhere"


@given(p=st.lists(PROBABILITY, min_size=4, max_size=4), order=FOUR)
def test_the_bounds_only_ever_tighten(p: list[float], order: tuple[int, ...]) -> None:
    fusion = Fusion.probe(lambda x: forwards([-0.25, 0.08, 1.0, 0.14], 0.05, x), 4, "head")
    last = Interval(-math.inf, math.inf)
    for at in range(5):
        now = fusion.interval({m: p[m] for m in order[:at]})
        assert last.low - 1e-12 <= now.low <= now.high <= last.high + 1e-12
        last = now
