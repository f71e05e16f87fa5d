"""Where outcomes go, one by one: text, JSON, JSON lines, CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import msgspec

from pneumo_edge import interrupts, render
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.records import IntervalRecord, record
from pneumo_edge.types import Finding, Refusal

Outcome = Finding | Refusal


class Writer(Protocol):
    """Takes each outcome as it comes and keeps none."""

    def write(self, outcome: Outcome) -> None:
        """Put one outcome out, at once."""

    def close(self) -> None:
        """Put out what comes last."""


def _put(text: str, end: str = "\n") -> None:
    """To standard output as it is now: a progress bar stands in for it for a while."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


class TextWriter:
    """For a person: a card for one image, a line each and a summary for several."""

    def __init__(self, single: bool) -> None:
        self._single = single
        self._glyphs = render.glyphs()
        self._counts = {"normal": 0, "pneumonia": 0, "indeterminate": 0, "refused": 0}
        self._last: Finding | None = None

    def write(self, outcome: Outcome) -> None:
        if isinstance(outcome, Refusal):
            self._counts["refused"] += 1
            sys.stderr.write(render.error_line(outcome) + "\n")
            sys.stderr.flush()
            return
        self._counts["indeterminate" if outcome.indeterminate else outcome.label] += 1
        self._last = outcome
        _put(render.card(outcome, self._glyphs) if self._single else render.row(outcome))

    def close(self) -> None:
        if sum(self._counts.values()) > 1:
            _put("\n" + render.summary(self._counts, self._last))
        if self._last is not None:
            _put(("  " if self._single else "") + render.NOTICE)


class JsonWriter:
    """One object for one image; an array, one element at a time, for several."""

    def __init__(self, single: bool) -> None:
        self._single = single
        self._separator = "[\n"

    def write(self, outcome: Outcome) -> None:
        text = msgspec.json.format(msgspec.json.encode(record(outcome)), indent=2).decode()
        if self._single:
            _put(text)
        else:
            _put(self._separator + text, end="")
            self._separator = ",\n"

    def close(self) -> None:
        # Nothing was written where the bundle failed: every run has at least one outcome.
        if not self._single and self._separator != "[\n":
            _put("\n]")


class JsonLinesWriter:
    """One object a line."""

    def write(self, outcome: Outcome) -> None:
        _put(msgspec.json.encode(record(outcome)).decode())

    def close(self) -> None:
        """Nothing comes last."""


class CsvWriter:
    """One row an image, columns in the order of the record's fields."""

    def __init__(self, stream: TextIO, members: Sequence[str], owned: bool) -> None:
        self._stream = stream
        self._owned = owned
        self._members = tuple(members)
        self._rows = csv.writer(stream)
        head = ["file", "label", "y", "y_low", "y_high", "threshold", "operating_point"]
        head += ["indeterminate", "band_low", "band_high"]
        votes = [f"{name}_{field}" for name in members for field in ("probability", "ms")]
        times = ["decode_ms", "prepare_ms", "infer_ms", "total_ms"]
        gate = ["gate", "gate_reasons", "gate_corrected", "gate_distance", "photo"]
        frame = [f"frame_{side}" for side in ("left", "top", "right", "bottom")]
        last = ["engine", "bundle", "overlay", *gate, *frame, "error_what", "error_remedy"]
        self._put([*head, *votes, *times, *last])

    def write(self, outcome: Outcome) -> None:
        out = record(outcome)
        span, band = _ends(out.interval), _ends(out.band)
        head = [out.file, out.label, out.y, *span, out.threshold, out.operating_point]
        doubt = None if out.indeterminate is None else str(out.indeterminate).lower()
        members = {member.name: member for member in out.members or ()}
        votes: list[Any] = []
        for name in self._members:
            member = members.get(name)
            votes += [member.probability, member.ms] if member else [None, None]
        ms = out.ms
        times = [ms.decode, ms.prepare, ms.infer, ms.total] if ms else [None] * 4
        error = [out.error.what, out.error.remedy] if out.error else [None] * 2
        gate: list[Any] = [None] * 4
        if (said := out.gate) is not None:
            gate = [said.verdict, "; ".join(said.reasons), said.corrected, said.distance]
        box = out.frame
        frame = [box.left, box.top, box.right, box.bottom] if box else [None] * 4
        last = [out.engine, out.bundle, out.overlay, *gate, out.photo, *frame, *error]
        self._put([*head, doubt, *band, *votes, *times, *last])

    def close(self) -> None:
        if self._owned:
            self._stream.close()

    def _put(self, cells: list[Any]) -> None:
        self._rows.writerow(cells)
        self._stream.flush()


def _ends(span: IntervalRecord | None) -> list[float | None]:
    return [span.low, span.high] if span is not None else [None, None]


def open_csv(target: str, members: Sequence[str]) -> CsvWriter:
    """Write CSV to a file, which is replaced, or to standard output where target is "-".

    Raises:
        PneumoEdgeError: the file cannot be written.
    """
    if target == "-":
        return CsvWriter(sys.stdout, members, owned=False)
    try:
        stream = Path(target).open("w", encoding="utf-8", newline="")  # noqa: SIM115 - the writer closes it
    except OSError as err:
        raise PneumoEdgeError(
            f"cannot write {target} ({err.strerror})",
            "name a file in a folder that you may write to",
        ) from None
    return CsvWriter(stream, members, owned=True)


@contextmanager
def together(writers: Sequence[Writer]) -> Iterator[Callable[[Outcome], None]]:
    """Several writers as one, closed whatever happens, so that a JSON array always ends."""
    with ExitStack() as stack:
        for writer in reversed(writers):
            stack.callback(writer.close)

        def write(outcome: Outcome) -> None:
            with interrupts.deferred():
                for writer in writers:
                    writer.write(outcome)

        yield write
