"""From a source to a finding, with the time that each stage took."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.decode import decode
from pneumo_edge.engines import Engine
from pneumo_edge.ensemble import Decision, band_of
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.gate.verdict import Gate, NotAChestFilmError
from pneumo_edge.heatmap import Explanation, display, fuse
from pneumo_edge.prepare import prepare
from pneumo_edge.sources import Source
from pneumo_edge.types import (
    Finding,
    GateVerdict,
    InputTensor,
    Interval,
    Radiograph,
    Refusal,
    Timings,
)

Decoder = Callable[[bytes, str], Radiograph]
"""As `decode.decode`: the bytes, and what to call them."""


class Decider(Protocol):
    """An ensemble, or what stands in for one."""

    @property
    def bundle(self) -> Bundle: ...

    @property
    def engine(self) -> Engine:
        """The one that ran last."""

    def decide(
        self,
        tensor: InputTensor,
        threshold: float,
        early_exit: bool,
        order: Sequence[str] | None,
        band: Interval | None,
    ) -> Decision:
        """As `Ensemble.decide`."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A film that only has to be scored."""

    file: str
    tensor: InputTensor
    decode_ms: float
    """To read and decode it."""
    prepare_ms: float
    """To prepare it, and for the first half of the gate."""
    film: NDArray[np.uint8] | None = None
    """(rows, cols) at 8 bits, to draw a heat map on; None unless asked for."""
    gate: GateVerdict | None = None
    """So far; None where there is no gate."""
    photo: str | None = None
    """See `Radiograph.photo`."""


def ready(
    source: Source, decoder: Decoder = decode, keep: bool = False, gate: Gate | None = None
) -> Prepared:
    """Read, decode and prepare.

    Args:
        source: What to read.
        decoder: Another one, as a sandbox's; it is called by several threads.
        keep: The film, too.
        gate: Looks at the film, and may set it right.

    Raises:
        BadRadiographError: the source cannot be read as a radiograph, or the gate refuses it.
    """
    start = time.perf_counter()
    film = decoder(source.read(), source.name)
    decoded = time.perf_counter()
    tensor, verdict, photo = prepare(film), None, film.photo
    if gate is not None:
        looked = gate.look(film, tensor)
        film, tensor, verdict = looked.film, looked.tensor, looked.verdict
    end = time.perf_counter()
    kept = display(film) if keep else None
    decode_ms, prepare_ms = (decoded - start) * 1e3, (end - decoded) * 1e3
    return Prepared(source.name, tensor, decode_ms, prepare_ms, kept, verdict, photo)


def refusal(source: Source, err: BadRadiographError) -> Refusal:
    """A bad radiograph as a value."""
    verdict = err.verdict if isinstance(err, NotAChestFilmError) else None
    return Refusal(source.name, err.what, err.remedy, verdict)


@dataclass(frozen=True, slots=True)
class Screener:
    """An ensemble at one operating point; as thread-safe as its ensemble."""

    ensemble: Decider
    operating_point: str
    early_exit: bool = False
    """Stop at the member that decides the answer."""
    order: tuple[str, ...] | None = None
    """In which early exit runs the members; None for the manifest's order."""
    decoder: Decoder = decode
    explains: bool = False
    """Give each finding its explanation; the ensemble has to give maps."""
    gate: Gate | None = None
    """Where it watches a member, the ensemble has to give that one's features; None lets every picture through."""

    def screen(self, source: Source) -> Finding:
        """Read, decode, prepare, score and compare with the threshold.

        Raises:
            BadRadiographError: the source cannot be read as a radiograph.
            BundleError: the bundle's models answer nonsense, or lack the operating point.
            EngineError: the engine failed.
        """
        return self.finish(self.ready(source))

    def ready(self, source: Source) -> Prepared:
        """As `ready`, with this screener's decoder and gate, and what an explanation needs.

        Raises:
            BadRadiographError: the source cannot be read as a radiograph, or the gate refuses it.
        """
        return ready(source, self.decoder, self.explains, self.gate)

    def finish(self, film: Prepared) -> Finding:
        """Score and compare with the threshold.

        Raises:
            BadRadiographError: the gate refuses the film by its features.
            BundleError: as `screen`.
            EngineError: the engine failed.
        """
        bundle = self.ensemble.bundle
        threshold = bundle.threshold(self.operating_point)
        band = band_of(bundle, self.operating_point)
        start = time.perf_counter()
        decision = self.ensemble.decide(film.tensor, threshold, self.early_exit, self.order, band)
        infer_ms = (time.perf_counter() - start) * 1e3
        gate = self._judged(film, decision)
        return Finding(
            file=film.file,
            label=decision.label,
            y=decision.y,
            threshold=threshold,
            operating_point=self.operating_point,
            members=decision.members,
            ms=Timings(
                decode=film.decode_ms,
                prepare=film.prepare_ms,
                infer=infer_ms,
                total=film.decode_ms + film.prepare_ms + infer_ms,
            ),
            engine=decision.engine,
            bundle=bundle.id,
            interval=decision.interval,
            explanation=self._explanation(film, decision),
            band=band,
            indeterminate=decision.indeterminate,
            gate=gate,
            photo=film.photo,
            frame=decision.frame,
        )

    def _explanation(self, film: Prepared, decision: Decision) -> Explanation | None:
        if film.film is None:
            return None
        heat = fuse(decision.members, self.ensemble.bundle.manifest, decision.frame)
        return Explanation(film.film, heat)

    def outcome(self, source: Source) -> Finding | Refusal:
        """As `screen`, with a bad radiograph as a value, so that a batch goes on."""
        try:
            return self.screen(source)
        except BadRadiographError as err:
            return refusal(source, err)

    def _judged(self, film: Prepared, decision: Decision) -> GateVerdict | None:
        if self.gate is None or film.gate is None:
            return film.gate
        seen = (score.pooled for score in decision.members)
        return self.gate.judge(
            film.file, film.gate, next((row for row in seen if row is not None), None)
        )
