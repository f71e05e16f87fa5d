"""A finding as a person reads it on a terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typer import style

if TYPE_CHECKING:  # a command that shows no finding has no need of numpy
    from pneumo_edge.doctor import Check
    from pneumo_edge.types import Finding, Refusal

NOTICE = "A screening aid, not a medical device: a physician decides."
WIDTH = 40
"""Columns of a scale from 0 to 1."""
_NAME = 9
"""Columns of the longest member's name."""
_COLOURS = {"normal": "green", "pneumonia": "red", "indeterminate": "yellow"}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What the terminal's encoding can show."""

    full: str
    empty: str
    mark: str
    line: str
    band: str


UNICODE = Glyphs("█", "░", "●", "─", "═")
ASCII = Glyphs("#", ".", "O", "-", "=")


def glyphs() -> Glyphs:
    """Of standard output."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    return UNICODE if encoding.startswith("utf") else ASCII


def card(finding: Finding, look: Glyphs) -> str:
    """The verdict, where y lies against the threshold, and the members' votes."""
    side = "above" if finding.label == "pneumonia" else "not above"
    said = _said(finding)
    verdict = paint(f" {said.upper()} ", said, reverse=True)
    threshold = f"the threshold {finding.threshold:.3f} ({finding.operating_point})"
    lines = [
        f"{printable(finding.file)}",
        "",
        f"  {verdict}  y {_y(finding, 'between {:.3f} and {:.3f}', '= {:.3f}')}, {side} {threshold}",
        "",
        f"  {'fused y':<{_NAME}}  {_scale(finding, look)}  {_y(finding, '{:6.3f} to {:.3f}', '{:6.3f}')}",
    ]
    for member in finding.members:
        filled = round(member.probability * WIDTH)
        bar = look.full * filled + look.empty * (WIDTH - filled)
        lines.append(f"  {member.name:<{_NAME}}  {bar}  {member.probability:6.3f}")
    early = ", and the others could not change the label" if finding.interval else ""
    lines += _doubt(finding)
    lines += [
        "",
        f"  {_votes(finding)} of {len(finding.members)} members vote pneumonia{early}",
        *([f"  photo: {finding.photo}"] if finding.photo is not None else []),
        *_told(finding),
        f"  {finding.ms.total:.0f} ms, engine {finding.engine}, bundle {finding.bundle}",
    ]
    return "\n".join(lines)


def row(finding: Finding) -> str:
    """One line, for a batch."""
    votes, said = _votes(finding), _said(finding)
    # As wide as the longest verdict that the bundle can give, so that columns stay in line.
    verdict = paint(f"{said.upper():<{9 if finding.band is None else 13}}", said)
    photo = "  photo" if finding.photo is not None else ""
    leaning = f"  leans to {finding.label}" if finding.indeterminate else ""
    return (
        f"{verdict}  y {_y(finding, '{:6.3f} to {:6.3f}', '{:6.3f}')}"
        f"  votes {votes}/{len(finding.members)}{leaning}{photo}"
        f"  {printable(finding.file)}{_note(finding)}"
    )


def _told(finding: Finding) -> list[str]:
    """What the gate warns of, a line each."""
    reasons = finding.gate.reasons if finding.gate is not None else ()
    return [_coloured(f"  gate: it {reason}", "yellow") for reason in reasons]


def _note(finding: Finding) -> str:
    """The same at the end of a line."""
    reasons = finding.gate.reasons if finding.gate is not None else ()
    return _coloured(f"  (gate: it {', and '.join(reasons)})", "yellow") if reasons else ""


def summary(counts: dict[str, int], finding: Finding | None) -> str:
    """The last line of a batch; `finding` is any of it."""
    total = sum(counts.values())
    parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    text = f"{total} images: {parts}"
    if finding is not None:
        text += (
            f"; threshold {finding.threshold:.3f} ({finding.operating_point}),"
            f" engine {finding.engine}, bundle {finding.bundle}"
        )
    return text


def check(report: Check) -> str:
    """One line of the doctor's report, and one for its remedy."""
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}[report.state]
    line = f"{_coloured(f'{report.state:<4}', colour)}  {report.name:<22} {printable(report.says)}"
    return line if report.remedy is None else f"{line}\n      to fix it, {printable(report.remedy)}"


def error_line(refusal: Refusal) -> str:
    """The same line that a failure of the whole command gets."""
    return error_text(f"{refusal.what}; to fix it, {refusal.remedy}")


def error_text(message: str) -> str:
    """One line, whatever a file is called."""
    return f"error: {printable(message)}"


def warning_text(message: str) -> str:
    """One line of what went wrong and was got round."""
    return f"warning: {printable(message)}"


def _said(finding: Finding) -> str:
    """The label, or that there is none to go by."""
    return "indeterminate" if finding.indeterminate else finding.label


def _doubt(finding: Finding) -> list[str]:
    """What it means that y lies in the band; nothing where it does not."""
    if finding.band is None or not finding.indeterminate:
        return []
    return [
        "",
        f"  y lies in the band {finding.band.low:.3f} to {finding.band.high:.3f}, too near the threshold to go by;",
        f"  by the threshold alone the label is {finding.label}",
    ]


def paint(text: str, label: str, reverse: bool = False) -> str:
    """In the colour of a label, or of none."""
    return _coloured(text, _COLOURS[label], reverse)


def _coloured(text: str, colour: str, reverse: bool = False) -> str:
    """Bold and coloured on a terminal, unless NO_COLOR asks for none (no-color.org)."""
    if os.environ.get("NO_COLOR") or not sys.stdout.isatty():
        return text
    return style(text, fg=colour, bold=True, reverse=reverse)


def printable(text: str) -> str:
    """A file name may hold line breaks and escape sequences; a terminal must not see them."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _y(finding: Finding, interval: str, value: str) -> str:
    """Y in the second form, or where it would lie in the first."""
    if finding.interval is not None:
        return interval.format(finding.interval.low, finding.interval.high)
    return value.format(finding.y)


def _scale(finding: Finding, look: Glyphs) -> str:
    """Y on a line from 0 to 1, with the band and the threshold's bar; y beyond the ends sits on the end.

    Of an interval, every cell is marked; the threshold's own stays a bar.
    """
    cells = [look.line] * WIDTH
    if finding.band is not None:
        for cell in range(_cell(finding.band.low), _cell(finding.band.high) + 1):
            cells[cell] = look.band
    span = finding.interval
    low, high = (span.low, span.high) if span else (finding.y or 0.0, finding.y or 0.0)
    marks = range(_cell(low), _cell(high) + 1)
    for cell in marks:
        cells[cell] = paint(look.mark, _said(finding))
    if len(marks) > 1 or _cell(finding.threshold) not in marks:
        cells[_cell(finding.threshold)] = "|"
    return "".join(cells)


def _cell(value: float) -> int:
    return min(max(int(value * WIDTH), 0), WIDTH - 1)


def _votes(finding: Finding) -> int:
    """Members that, each alone at 0.5, would say pneumonia."""
    return sum(member.probability > 0.5 for member in finding.members)
