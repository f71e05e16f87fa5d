"""A heat map on its film, as a picture for a person, with what its colours mean.

Between the film's grey and the full colour one goes in a straight line through CIELAB. So equal steps of the
map are equal steps of colour, on any grey, and where the map is 0 the film is untouched. The scale is the same for
every film: were each stretched to its own largest value, a film without a finding would glow like one with.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.heatmap import MAP_SIDE, Explanation, strips
from pneumo_edge.render import NOTICE
from pneumo_edge.types import Finding, Frame

Picture = NDArray[np.uint8]
"""(rows, cols, 3), RGB."""

LIMIT = 0.2
"""What a tenth of the film may add to y until its colour is full; y goes from about 0 to about 1."""

MIN_WIDTH = 480
"""Columns below which a film is enlarged by a whole number, so that the words beside it can be read."""

OPACITY = 0.6

PNEUMONIA, NORMAL = (213, 94, 0), (0, 114, 178)
"""Vermilion and blue of Okabe and Ito, RGB: told apart with any colour vision."""

_STEPS = 128
"""Of colour from grey to full; the eye tells fewer apart."""

_CELLS = MAP_SIDE * MAP_SIDE / 10
"""In a tenth of the film."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE, _PALE = (255, 255, 255), (190, 190, 190)


@dataclass(frozen=True, slots=True)
class Look:
    """How it is drawn."""

    opacity: float = OPACITY
    """Of the full colour, 0 to 1."""
    signed: bool = True
    """Show what speaks for normal, too, and not only what speaks for pneumonia."""


DEFAULT = Look()


def draw(explanation: Explanation, finding: Finding, look: Look = DEFAULT) -> Picture:
    """The film with its map, a header with the verdict and a legend below.

    Args:
        explanation: The film at its own size, and its map.
        finding: What was found on that film. The name of its file is not drawn.
        look: How.

    Returns:
        The film's own columns and rows where it has at least MIN_WIDTH columns, with rows added above and
        below; no word covers it.
    """
    tinted = tint(explanation, look)
    factor = -(-MIN_WIDTH // tinted.shape[1])
    if factor > 1:
        size = (tinted.shape[1] * factor, tinted.shape[0] * factor)
        tinted = np.asarray(cv2.resize(tinted, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if finding.frame is not None:
        _outline(tinted, finding.frame)
    width = tinted.shape[1]
    head = text_block([verdict(finding), *_details(finding)], width)
    return np.concatenate(
        [head, tinted, _legend(width, look), text_block(_caption(finding), width)]
    )


def _outline(picture: Picture, frame: Frame) -> None:
    """Draw the part that the members saw, in place; a side beyond the film's edge is drawn at that edge."""
    rows, cols = picture.shape[:2]
    left, top, right, bottom = frame.box
    first = (round(max(left, 0) * (cols - 1)), round(max(top, 0) * (rows - 1)))
    last = (round(min(right, 1) * (cols - 1)), round(min(bottom, 1) * (rows - 1)))
    cv2.rectangle(picture, first, last, _PALE, _stroke(_scale(cols)))


def tint(explanation: Explanation, look: Look = DEFAULT) -> Picture:
    """The film alone with its map: (rows, cols, 3), at its own size."""
    film = explanation.film
    colours = _colours(look.opacity)
    picture = np.empty((*film.shape, 3), np.uint8)
    scaled = explanation.heat.values * np.float32(_CELLS / LIMIT)
    for which, strip in strips(scaled, *film.shape):
        level = np.rint(strip.clip(-1 if look.signed else 0, 1) * _STEPS).astype(np.int16) + _STEPS
        picture[which] = colours[level, film[which]]
    return picture


@lru_cache(maxsize=8)
def _colours(opacity: float) -> Picture:
    """(257, 256, 3): the colour of each level, -128 to 128, on each grey."""
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    grey_lab, blue, red = (_to_lab(np.asarray(c, np.uint8)) for c in (greys, [NORMAL], [PNEUMONIA]))
    part = np.linspace(-1, 1, 2 * _STEPS + 1, dtype=np.float32)[:, None, None]
    end = np.where(part < 0, blue, red)
    table = grey_lab + np.abs(part) * np.float32(opacity) * (end - grey_lab)
    rgb = cv2.cvtColor(np.ascontiguousarray(table, np.float32), cv2.COLOR_LAB2RGB)
    found: Picture = np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)
    found[_STEPS] = greys
    return found


def _to_lab(rgb: Picture) -> NDArray[np.float32]:
    """(n, 3) RGB to CIELAB (D65, L from 0 to 100)."""
    return np.asarray(cv2.cvtColor(rgb[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0])


def verdict(finding: Finding) -> str:
    """The label, or that y is too near the threshold to go by it, as a headline."""
    if finding.indeterminate:
        return f"INDETERMINATE, by the threshold alone {finding.label}"
    return finding.label.upper()


def _details(finding: Finding) -> list[str]:
    if finding.y is not None:
        said = f"y = {finding.y:.3f}"
    elif finding.interval is not None:
        said = f"y between {finding.interval.low:.3f} and {finding.interval.high:.3f}"
    else:
        said = "y not computed"
    point = f"threshold {finding.threshold:.3f} ({finding.operating_point})"
    return [f"{said}, {point}", f"pneumo-edge, bundle {finding.bundle}"]


def _caption(finding: Finding) -> list[str]:
    assert finding.explanation is not None
    heat = finding.explanation.heat
    lines = [
        f"What a tenth of the film adds to y. In no place: {heat.nowhere:+.3f} of y.",
        "About 5 x 5 places: no outline of a lesion.",
    ]
    if finding.frame is not None:
        lines.append("The members saw what lies in the frame.")
    if finding.y is None:
        lines.append(f"Early exit: of {', '.join(heat.members)} alone.")
    if finding.gate is not None:
        if finding.gate.corrected is not None:
            lines.append(f"The film is drawn as it was scored, {finding.gate.corrected}.")
        lines += [f"The gate warns: it {reason}." for reason in finding.gate.reasons]
    return [*lines, NOTICE]


def text_block(lines: list[str], width: int) -> Picture:
    """Lines of text, the first in white, as wide as the film: (rows, width, 3)."""
    widest = max(cv2.getTextSize(line, _FONT, 1.0, 1)[0][0] for line in lines)
    scale = min(_scale(width), (width - 16) / widest)
    step, margin = int(38 * scale) + 4, int(10 * scale) + 3
    block = np.zeros((step * len(lines) + margin, width, 3), np.uint8)
    for number, line in enumerate(lines, 1):
        colour = _WHITE if number == 1 else _PALE
        at = (8, number * step - margin // 3)
        cv2.putText(block, line, at, _FONT, scale, colour, _stroke(scale), cv2.LINE_AA)
    return block


def _legend(width: int, look: Look) -> Picture:
    """The colours on a middle grey, with what they stand for."""
    scale = _scale(width) * 0.9
    pad, bar = int(16 * scale) + 4, max(int(26 * scale), 8)
    low = -1.0 if look.signed else 0.0
    part = np.linspace(low, 1, width - 2 * pad)
    level = np.rint(part * _STEPS).astype(np.int16) + _STEPS
    text = int(34 * scale) + 4
    block = np.zeros((pad + bar + 2 * text, width, 3), np.uint8)
    block[pad : pad + bar, pad : width - pad] = _colours(look.opacity)[level, 128]
    ends = [(1.0, f"+{LIMIT:g}", "towards pneumonia")]
    ends += [(-1.0, f"-{LIMIT:g}", "towards normal")] if look.signed else []
    for place, number, words in [*ends, (0.0, "0", "")]:
        for row, said in enumerate((number, words)):
            length = cv2.getTextSize(said, _FONT, scale, _stroke(scale))[0][0]
            middle = pad + (place - low) / (1 - low) * (width - 2 * pad)
            left = int(min(max(middle - length / 2, pad), width - pad - length))
            at = (left, pad + bar + (row + 1) * text - 6)
            cv2.putText(block, said, at, _FONT, scale, _WHITE, _stroke(scale), cv2.LINE_AA)
    return block


def _scale(width: int) -> float:
    """Of OpenCV's font: as large on the picture whatever its columns."""
    return max(width / 1400, 0.45)


def _stroke(scale: float) -> int:
    return max(1, round(scale * 1.3))
