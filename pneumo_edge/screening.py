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
from pneumo_edge.heatmap import Explanation, display, fuse
from pneumo_edge.prepare import prepare
from pneumo_edge.sources import Source
from pneumo_edge.types import Finding, InputTensor, Interval, Radiograph, Refusal, Timings

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
    film: NDArray[np.uint8] | None = None
    """(rows, cols) at 8 bits, to draw a heat map on; None unless asked for."""


def ready(source: Source, decoder: Decoder = decode, keep: bool = False) -> Prepared:
    """Read, decode and prepare.

    Args:
        source: What to read.
        decoder: Another one, as a sandbox's; it is called by several threads.
        keep: The film, too.

    Raises:
        BadRadiographError: the source cannot be read as a radiograph.
    """
    start = time.perf_counter()
    film = decoder(source.read(), source.name)
    decoded = time.perf_counter()
    tensor = prepare(film)
    end = time.perf_counter()
    kept = display(film) if keep else None
    return Prepared(source.name, tensor, (decoded - start) * 1e3, (end - decoded) * 1e3, kept)


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

    def screen(self, source: Source) -> Finding:
        """Read, decode, prepare, score and compare with the threshold.

        Raises:
            BadRadiographError: the source cannot be read as a radiograph.
            BundleError: the bundle's models answer nonsense, or lack the operating point.
            EngineError: the engine failed.
        """
        return self.finish(self.ready(source))

    def ready(self, source: Source) -> Prepared:
        """As `ready`, with what an explanation needs.

        Raises:
            BadRadiographError: the source cannot be read as a radiograph.
        """
        return ready(source, self.decoder, self.explains)

    def finish(self, film: Prepared) -> Finding:
        """Score and compare with the threshold.

        Raises:
            BundleError: as `screen`.
            EngineError: the engine failed.
        """
        bundle = self.ensemble.bundle
        threshold = bundle.threshold(self.operating_point)
        band = band_of(bundle, self.operating_point)
        start = time.perf_counter()
        decision = self.ensemble.decide(film.tensor, threshold, self.early_exit, self.order, band)
        infer_ms = (time.perf_counter() - start) * 1e3
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
        )

    def _explanation(self, film: Prepared, decision: Decision) -> Explanation | None:
        if film.film is None:
            return None
        return Explanation(film.film, fuse(decision.members, self.ensemble.bundle.manifest))

    def outcome(self, source: Source) -> Finding | Refusal:
        """As `screen`, with a bad radiograph as a value, so that a batch goes on."""
        try:
            return self.screen(source)
        except BadRadiographError as err:
            return Refusal(source.name, err.what, err.remedy)
