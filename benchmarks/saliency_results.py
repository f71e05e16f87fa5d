"""What the sanity checks of heat maps leave behind: the JSON, field by field, and its tables."""

from __future__ import annotations

from collections.abc import Iterator

from pneumo_edge.manifest import Measure, Struct

SCHEMA = 1
"""Raised whenever a reader of the version before could misread a file."""


class Randomised(Struct, frozen=True):
    """How much maps are like those of another head."""

    shuffled: str
    """Which weights of that head: those of the output layers, or of the whole head; or none, where another film's
    map stands for what any two films have in common."""
    pairs: int
    """Films by heads."""
    spearman: float
    """Mean rank correlation of the 900 cells; 1 for the same map."""
    spearman_quartiles: list[float]
    spearman_of_magnitudes: float
    """The same of the cells' magnitudes, so that a map whose signs are turned is like itself."""
    ssim: float
    """Mean structural similarity."""


class Tenth(Struct, frozen=True):
    """How far y moves where a tenth of the film is taken away: mean |dy| over the films of a group."""

    group: str
    films: int
    hottest: float
    random: float
    centre: float
    difference: Measure
    """hottest less random, film by film."""
    more_often: Measure
    """Share of the films on which the hottest tenth moves y more."""


class Areas(Struct, frozen=True):
    """The area under a curve: for deletion lower is better, for insertion higher."""

    curve: str
    order: str
    area: Measure
    less_random: Measure
    """What of it is more than under the random order's curve, film by film."""


class Curve(Struct, frozen=True):
    """Mean v by the share of the film that is gone, or is there."""

    curve: str
    order: str
    v: list[float]


class Saliency(Struct, frozen=True):
    """The sanity checks of one bundle on films of one folder."""

    schema: int
    bundle: str
    films: int
    threshold: float
    """Of the operating point `paper`, by which a film got the label that v counts for."""
    blur: float
    """Standard deviation of what stands where a film is taken away, pixels of 150."""
    shares: list[float]
    randomised: list[Randomised]
    tenths: list[Tenth]
    areas: list[Areas]
    curves: list[Curve]


RANDOMISED = (
    "weights that were shuffled",
    "pairs",
    "rank correlation",
    "quartiles",
    "of magnitudes",
    "SSIM",
)
TENTHS = (
    "films",
    "n",
    "hottest tenth",
    "random tenth",
    "central tenth",
    "hottest less random",
    "hottest moves y more",
)
AREAS = ("curve", "order", "area", "less that of the random order")


def randomised_rows(found: Saliency) -> list[list[str]]:
    """How much maps are like those of shuffled heads."""
    return [
        [
            row.shuffled,
            str(row.pairs),
            f"{row.spearman:+.3f}",
            f"{row.spearman_quartiles[0]:+.2f} to {row.spearman_quartiles[1]:+.2f}",
            f"{row.spearman_of_magnitudes:+.3f}",
            f"{row.ssim:+.3f}",
        ]
        for row in found.randomised
    ]


def tenth_rows(found: Saliency) -> list[list[str]]:
    """What a tenth of the film does."""
    return [
        [
            row.group,
            str(row.films),
            *(f"{value:.4f}" for value in (row.hottest, row.random, row.centre)),
            _cell(row.difference, "+.4f"),
            _cell(row.more_often, ".3f"),
        ]
        for row in found.tenths
    ]


def area_rows(found: Saliency) -> list[list[str]]:
    """Areas under the curves."""
    return [
        [row.curve, row.order, _cell(row.area, ".4f"), _cell(row.less_random, "+.4f")]
        for row in found.areas
    ]


def _cell(value: Measure, form: str) -> str:
    return f"{value.value:{form}} ({value.low:{form}} to {value.high:{form}})"


def lines(found: Saliency) -> Iterator[str]:
    """The tables in Markdown."""
    yield f"bundle {found.bundle}, {found.films} films, 95 % intervals by patient"
    for heading, rows in (
        (RANDOMISED, randomised_rows(found)),
        (TENTHS, tenth_rows(found)),
        (AREAS, area_rows(found)),
    ):
        yield ""
        yield f"| {' | '.join(heading)} |"
        yield f"|{' --- |' * len(heading)}"
        yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
