"""What a program reads: one record an image, as docs/finding.schema.json describes it."""

from __future__ import annotations

import msgspec

from pneumo_edge.types import Finding, GateVerdict, Interval, Refusal


class MemberRecord(msgspec.Struct, frozen=True):
    """One member's vote."""

    name: str
    probability: float
    ms: float


class TimesRecord(msgspec.Struct, frozen=True):
    """Milliseconds of wall time, rounded to microseconds."""

    decode: float
    prepare: float
    infer: float
    total: float


class IntervalRecord(msgspec.Struct, frozen=True):
    """Where y would lie, or where it is indeterminate; not rounded."""

    low: float
    high: float


class BoxRecord(msgspec.Struct, frozen=True):
    """Sides of a part of the film, as shares of it from its left and top; not rounded."""

    left: float
    top: float
    right: float
    bottom: float


class GateRecord(msgspec.Struct, frozen=True):
    """What the gate said."""

    verdict: str
    reasons: list[str]
    corrected: str | None
    distance: float | None


class ErrorRecord(msgspec.Struct, frozen=True):
    """Why there is no finding."""

    what: str
    remedy: str


class Record(msgspec.Struct, frozen=True):
    """A finding with y or, after an early exit, an interval; or an error with all else but `file` and `gate` null."""

    file: str
    label: str | None = None
    y: float | None = None
    interval: IntervalRecord | None = None
    threshold: float | None = None
    operating_point: str | None = None
    indeterminate: bool | None = None
    band: IntervalRecord | None = None
    members: list[MemberRecord] | None = None
    ms: TimesRecord | None = None
    engine: str | None = None
    bundle: str | None = None
    overlay: str | None = None
    gate: GateRecord | None = None
    photo: str | None = None
    frame: BoxRecord | None = None
    error: ErrorRecord | None = None


def record(outcome: Finding | Refusal) -> Record:
    """The stable, public form of an outcome. Probabilities, y and threshold are not rounded."""
    if isinstance(outcome, Refusal):
        error = ErrorRecord(encodable(outcome.what), encodable(outcome.remedy))
        return Record(encodable(outcome.file), gate=_gate(outcome.gate), error=error)
    ms = outcome.ms
    return Record(
        file=encodable(outcome.file),
        label=outcome.label,
        y=outcome.y,
        interval=_interval(outcome.interval),
        threshold=outcome.threshold,
        operating_point=outcome.operating_point,
        indeterminate=outcome.indeterminate,
        band=_interval(outcome.band),
        members=[
            MemberRecord(member.name, member.probability, round(member.ms, 3))
            for member in outcome.members
        ],
        ms=TimesRecord(*(round(lap, 3) for lap in (ms.decode, ms.prepare, ms.infer, ms.total))),
        engine=outcome.engine,
        bundle=outcome.bundle,
        overlay=None if outcome.overlay is None else encodable(outcome.overlay),
        gate=_gate(outcome.gate),
        photo=outcome.photo,
        frame=None if outcome.frame is None else BoxRecord(*outcome.frame.box),
    )


def _interval(span: Interval | None) -> IntervalRecord | None:
    return None if span is None else IntervalRecord(span.low, span.high)


def _gate(said: GateVerdict | None) -> GateRecord | None:
    if said is None:
        return None
    return GateRecord(said.verdict, list(said.reasons), said.corrected, said.distance)


def encodable(text: str) -> str:
    r"""As UTF-8 can hold it: a file name's bytes that are no UTF-8 become \udcXX."""
    return text.encode("utf-8", "backslashreplace").decode()
