"""The picture of a heat map: colours that mean the same on every film, words that can be read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.heatmap import MAP_SIDE, Explanation, HeatMap
from pneumo_edge.overlay import LIMIT, MIN_WIDTH, NORMAL, PNEUMONIA, Look, draw, tint
from pneumo_edge.types import Finding, Frame, GateVerdict, Interval, MemberScore, Timings

FULL = LIMIT / (MAP_SIDE * MAP_SIDE / 10)
"""Of a cell whose colour is just full."""


def explanation(values: NDArray[Any], film: NDArray[np.uint8]) -> Explanation:
    heat = HeatMap(values.astype(np.float32), 0.03, 0.5, ("vgg16", "resnet50"))
    return Explanation(film, heat)


def finding(shown: Explanation, **changes: Any) -> Finding:
    given: dict[str, Any] = {
        "file": "Geheim^Gertrud.png", "label": "pneumonia", "y": 0.87, "threshold": 0.5,
        "operating_point": "paper", "members": (MemberScore("vgg16", 0.9, 2.2, 1.0),),
        "ms": Timings(1, 1, 1, 3), "engine": "cpu", "bundle": "6217d46d09e1", "explanation": shown,
    }  # fmt: skip
    return Finding(**(given | changes))


def flat(value: float) -> NDArray[np.float32]:
    return np.full((MAP_SIDE, MAP_SIDE), value, np.float32)


def lab(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIELAB by the definition, CIE 15 and IEC 61966-2-1; rgb (..., 3)."""
    c = rgb.astype(np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    ratio = linear @ matrix.T / matrix.sum(1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


@pytest.mark.parametrize("opacity", [0.0, 0.6, 1.0])
def test_a_film_is_untouched_where_the_map_is_zero(opacity: float, grey: NDArray[np.uint8]) -> None:
    picture = tint(explanation(flat(0), grey), Look(opacity))
    np.testing.assert_array_equal(picture, np.repeat(grey[..., None], 3, 2))


@pytest.mark.parametrize(("sign", "colour"), [(1, PNEUMONIA), (-1, NORMAL)])
def test_what_is_beyond_the_scale_has_the_full_colour(
    sign: int, colour: tuple[int, int, int], grey: NDArray[np.uint8]
) -> None:
    picture = tint(explanation(flat(sign * FULL * 7), grey), Look(opacity=1.0))
    np.testing.assert_allclose(picture, np.broadcast_to(colour, picture.shape), atol=1)


@pytest.mark.parametrize("level", [60, 128, 200])
def test_equal_steps_of_the_map_are_equal_steps_of_colour(level: int) -> None:
    film = np.full((20, 20), level, np.uint8)
    for sign in (-1, 1):
        colours = np.array(
            [tint(explanation(flat(sign * FULL * k / 8), film), Look(0.8))[0, 0] for k in range(9)]
        )
        steps = np.linalg.norm(np.diff(lab(colours), axis=0), axis=1)
        # 8 bits for each of R, G and B are worth about one unit of CIELAB.
        np.testing.assert_allclose(steps, steps.mean(), atol=1.2)
        assert steps.mean() > 4


def test_what_speaks_for_normal_can_be_left_out(grey: NDArray[np.uint8]) -> None:
    shown = explanation(flat(-FULL), grey)
    np.testing.assert_array_equal(tint(shown, Look(signed=False))[..., 0], grey)
    assert (tint(shown)[..., 2].astype(int) > tint(shown)[..., 0]).mean() > 0.95, "blue"


def test_the_map_lies_on_the_film_as_the_film_was_squashed() -> None:
    values = flat(0)
    values[:6, 24:] = FULL  # the upper fifth, on the right
    picture = tint(explanation(values, np.full((200, 500), 128, np.uint8)), Look(1.0))
    coloured = (picture != 128).any(-1)
    assert coloured[:35, 405:].all()
    assert not coloured[50:].any()
    assert not coloured[:, :380].any()


@pytest.mark.parametrize("shape", [(75, 80), (300, 75), (180, 240), (480, 480), (900, 2100)])
@pytest.mark.parametrize("signed", [True, False])
def test_the_film_is_whole_and_no_word_runs_out_of_the_picture(
    shape: tuple[int, int], signed: bool
) -> None:
    shown = explanation(flat(0), np.full(shape, 77, np.uint8))
    picture = draw(shown, finding(shown), Look(signed=signed))
    factor = -(-MIN_WIDTH // shape[1])
    assert picture.dtype == np.uint8
    assert picture.shape[1:] == (shape[1] * factor, 3)
    own = (picture == 77).all((1, 2))
    assert own.sum() == shape[0] * factor
    first = int(own.argmax())
    words = np.concatenate([picture[:first], picture[first + shape[0] * factor :]])
    assert words[:, :4].max() == 0
    assert words[:, -4:].max() == 0
    assert words.max() == 255
    assert words.any((1, 2)).mean() > 0.4


def test_a_picture_tells_the_verdict_but_not_whose_it_is(grey: NDArray[np.uint8]) -> None:
    shown = explanation(flat(0), grey)
    one = draw(shown, finding(shown))
    np.testing.assert_array_equal(one, draw(shown, finding(shown, file="other.png")))
    changes: list[dict[str, Any]] = [
        {"label": "normal"}, {"y": 0.2}, {"threshold": 0.4}, {"bundle": "0" * 12}, {"indeterminate": True},
    ]  # fmt: skip
    for change in changes:
        other = draw(shown, finding(shown, **change))
        assert (one[:60] != other[:60]).any(), change


def test_an_early_exit_says_which_members_it_shows(grey: NDArray[np.uint8]) -> None:
    shown = explanation(flat(0), grey)
    whole = draw(shown, finding(shown))
    early = draw(shown, finding(shown, y=None, interval=Interval(0.6, 0.9)))
    assert early.shape[0] > whole.shape[0]


def test_what_the_gate_did_and_warned_of_stands_below(grey: NDArray[np.uint8]) -> None:
    shown = explanation(flat(0), grey)
    rows = [
        draw(shown, finding(shown, gate=gate)).shape[0]
        for gate in (
            None,
            GateVerdict("accept"),
            GateVerdict("accept", corrected="rotated by 180 degrees"),
            GateVerdict("warn", ("is badly cropped", "is very dark"), "rotated by 180 degrees"),
        )
    ]
    assert rows[0] == rows[1] < rows[2] < rows[3]
    assert rows[3] - rows[2] > rows[2] - rows[1], "two lines more"


def test_the_golden_overlay() -> None:
    """A film and a map of formulas; the values were read off once, when the picture had been looked at."""
    film = (np.add.outer(np.arange(480), np.arange(480)) // 4).astype(np.uint8)
    at = np.linspace(-1, 1, MAP_SIDE)
    shown = explanation(FULL * np.outer(np.cos(3 * at), np.sin(3 * at)), film)
    picture = tint(shown)
    found = [picture[r, c].tolist() for r, c in GOLDEN]
    # OpenCV's CIELAB differs by a step between processors with and without its vector code.
    np.testing.assert_allclose(found, list(GOLDEN.values()), atol=2)


GOLDEN: dict[tuple[int, int], list[int]] = {
    (240, 100): [67, 101, 137],
    (240, 240): [120, 119, 119],
    (240, 380): [197, 122, 77],
    (40, 120): [126, 68, 32],
    (470, 400): [133, 162, 197],
    (100, 10): [32, 28, 27],
    (400, 250): [158, 160, 163],
}


def test_the_part_that_was_seen_is_outlined_and_told() -> None:
    shown = explanation(flat(0), np.full((600, MIN_WIDTH), 90, np.uint8))
    plain = draw(shown, finding(shown))
    framed = draw(shown, finding(shown, frame=Frame(0.8, 0.5, right=15.0, below=0.0)))
    assert len(framed) > len(plain), "a line that says so"
    changed = (framed[: len(plain)] != plain).any(-1)
    head = next(row for row in range(len(plain)) if (plain[row] == 90).all())
    rows = np.flatnonzero(changed[head : head + 600].sum(1) > MIN_WIDTH / 2)
    cols = np.flatnonzero(changed[head : head + 600].sum(0) > 200)
    # A quarter of the height above and below; from 0.5 + 15 / 150 - 0.8 / 2 of the width to its end.
    assert (rows.min(), rows.max()) == (pytest.approx(150, abs=2), pytest.approx(450, abs=2))
    assert cols.min() == pytest.approx(0.2 * MIN_WIDTH, abs=2)
    assert cols.max() == MIN_WIDTH - 1


def test_a_frame_that_reaches_over_the_edge_is_drawn_at_it() -> None:
    shown = explanation(flat(0), np.full((600, MIN_WIDTH), 90, np.uint8))
    framed = draw(shown, finding(shown, frame=Frame(1.2, 1.1, right=0.0, below=30.0)))
    head = next(row for row in range(len(framed)) if (framed[row] == 90).sum() > MIN_WIDTH)
    assert (framed[head + 300, [0, -1]] != 90).all()
