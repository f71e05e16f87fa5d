"""What a person sees."""

from __future__ import annotations

import dataclasses
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumo_edge import render
from pneumo_edge.types import Finding, Interval, MemberScore, Timings

FINDING = Finding(
    file="a.png",
    label="pneumonia",
    y=0.75,
    threshold=0.5,
    operating_point="balanced",
    members=(MemberScore("vgg16", 0.25, -1.1, 9), MemberScore("resnet50", 1.0, 20, 9)),
    ms=Timings(1, 2, 3, 6),
    engine="cpu",
    bundle="0123456789ab",
)


def test_bars_and_the_scale_are_drawn_to_measure() -> None:
    lines = render.card(FINDING, render.ASCII).splitlines()
    (scale,) = [line for line in lines if "fused y" in line]
    bar = scale.split()[2]
    assert (len(bar), bar.index("O"), bar.index("|")) == (40, 30, 20)
    assert "  vgg16      " + "#" * 10 + "." * 30 + "   0.250" in lines
    assert "  resnet50   " + "#" * 40 + "   1.000" in lines
    assert "  1 of 2 members vote pneumonia" in lines
    assert "PNEUMONIA   y = 0.750, above the threshold 0.500 (balanced)" in "\n".join(lines)


@pytest.mark.parametrize(("y", "at"), [(-0.2, 0), (0.0, 0), (1.0, 39), (1.3, 39)])
def test_y_beyond_the_ends_sits_on_the_end(y: float, at: int) -> None:
    card = render.card(dataclasses.replace(FINDING, y=y), render.ASCII)
    (scale,) = [line for line in card.splitlines() if "fused y" in line]
    assert scale.split()[2].index("O") == at


def test_a_normal_finding_says_not_above() -> None:
    found = dataclasses.replace(FINDING, label="normal", y=0.5)
    assert "NORMAL   y = 0.500, not above" in render.card(found, render.ASCII)


def test_an_early_exit_shows_where_y_would_lie() -> None:
    found = dataclasses.replace(FINDING, y=None, interval=Interval(0.6, 0.8))
    card = render.card(found, render.ASCII)
    (scale,) = [line for line in card.splitlines() if "fused y" in line]
    bar = scale.split()[2]
    assert (len(bar), bar.index("O"), bar.rindex("O"), bar.count("O")) == (40, 24, 32, 9)
    assert bar[20] == "|"
    assert "y between 0.600 and 0.800, above the threshold 0.500" in card
    assert "1 of 2 members vote pneumonia, and the others could not change the label" in card
    assert "y  0.600 to  0.800" in render.row(found)


def test_what_is_indeterminate_says_so_before_the_label() -> None:
    found = dataclasses.replace(FINDING, y=0.6, band=Interval(0.4, 0.7), indeterminate=True)
    card = render.card(found, render.ASCII)
    (scale,) = [line for line in card.splitlines() if "fused y" in line]
    bar = scale.split()[2]
    assert (bar.index("="), bar.rindex("="), bar.index("O"), bar.index("|")) == (16, 28, 24, 20)
    assert " INDETERMINATE   y = 0.600" in card
    assert "band 0.400 to 0.700" in card
    assert "by the threshold alone the label is pneumonia" in card
    assert "PNEUMONIA" not in card
    row = render.row(found)
    assert row.startswith("INDETERMINATE  y")
    assert "leans to pneumonia" in row
    sure = dataclasses.replace(found, y=0.75, indeterminate=False)
    assert "INDETERMINATE" not in render.card(sure, render.ASCII) + render.row(sure)
    assert render.row(sure).index(" y ") == row.index(" y "), "columns stay in line"


def test_the_threshold_shows_where_an_interval_ends_beside_it() -> None:
    near = dataclasses.replace(FINDING, y=None, interval=Interval(0.501, 0.9))
    assert "|" in render.card(near, render.ASCII)


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(1, "", 1), (1, "1", 0), (0, "", 0)]
)
def test_colour_is_for_a_terminal_that_wants_it(
    terminal: int, no_color: str, coloured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: bool(terminal))
    monkeypatch.setenv("NO_COLOR", no_color)
    assert ("\x1b[" in render.row(FINDING)) == bool(coloured)


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_whatever_a_file_is_called_it_is_one_printable_line(name: str) -> None:
    shown = render.printable(name)
    assert shown.isprintable()
    shown.encode("utf-8")
    if name.isprintable():
        assert shown == name
