"""From a source to a finding, with the time that each stage took."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pneumo_edge.decode import decode
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.prepare import prepare
from pneumo_edge.sources import Source
from pneumo_edge.types import Finding, Refusal, Timings


@dataclass(frozen=True, slots=True)
class Screener:
    """An ensemble at one operating point."""

    ensemble: Ensemble
    operating_point: str

    def screen(self, source: Source) -> Finding:
        """Read, decode, prepare, score and compare with the threshold.

        Raises:
            BadRadiographError: the source cannot be read as a radiograph.
            BundleError: the bundle's models answer nonsense, or lack the operating point.
        """
        threshold = self.ensemble.bundle.threshold(self.operating_point)
        start = time.perf_counter()
        film = decode(source.read(), source.name)
        decoded = time.perf_counter()
        tensor = prepare(film)
        prepared = time.perf_counter()
        votes = self.ensemble.score(tensor)
        end = time.perf_counter()
        return Finding(
            file=source.name,
            label="pneumonia" if votes.y > threshold else "normal",
            y=votes.y,
            threshold=threshold,
            operating_point=self.operating_point,
            members=votes.members,
            ms=Timings(
                decode=(decoded - start) * 1e3,
                prepare=(prepared - decoded) * 1e3,
                infer=(end - prepared) * 1e3,
                total=(end - start) * 1e3,
            ),
            engine=self.ensemble.engine.name,
            bundle=self.ensemble.bundle.id,
        )

    def outcome(self, source: Source) -> Finding | Refusal:
        """As `screen`, with a bad radiograph as a value, so that a batch goes on."""
        try:
            return self.screen(source)
        except BadRadiographError as err:
            return Refusal(source.name, err.what, err.remedy)
