"""A graphics card that fails, before the first film or after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge import engines
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import EngineError
from pneumo_edge.fallback import Fallback
from pneumo_edge.prepare import prepare


@dataclass
class Failing:
    """The engine cpu under another name; from a certain call on, its backbones fail."""

    real: engines.Engine
    calls_left: int
    name: str = "gpu"
    card: str | None = None

    def head(self, model: Path | bytes, label: str) -> engines.Head:
        return self.real.head(model, label)

    def backbone(self, model: Path | bytes, label: str, threads: int) -> Any:
        loaded, engine = self.real.backbone(model, label, threads), self

        class Backbone:
            def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
                if engine.calls_left == 0:
                    raise EngineError("the engine gpu failed on a member", "use --engine cpu")
                engine.calls_left -= 1
                return loaded.features(pixels)

        return Backbone()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def test_the_film_on_which_it_fails_is_scored_by_the_other(bundle: Bundle, film: Path) -> None:
    tensor, cpu = prepare(decode_file(film)), engines.choose("cpu")
    warnings: list[tuple[str, str]] = []
    first = Ensemble(bundle, Failing(cpu, calls_left=6), 1)  # one film and a half
    lane = Fallback(
        first,
        lambda: Ensemble(bundle, cpu, 1),
        lambda err, name: warnings.append((err.what, name)),
    )
    answers = [lane.decide(tensor, 0.5, False, None) for _ in range(3)]
    assert [answer.engine for answer in answers] == ["gpu", "cpu", "cpu"]
    assert len({answer.y for answer in answers}) == 1
    assert lane.engine.name == "cpu"
    assert warnings == [("the engine gpu failed on a member", "cpu")]
    assert lane.bundle is bundle


def test_where_the_other_fails_too_that_is_the_end(bundle: Bundle, film: Path) -> None:
    tensor, cpu = prepare(decode_file(film)), engines.choose("cpu")

    def broken() -> Ensemble:
        return Ensemble(bundle, Failing(cpu, calls_left=0), 1)

    lane = Fallback(broken(), broken, lambda _err, _name: None)
    for _ in range(2):
        with pytest.raises(EngineError, match="failed on a member"):
            lane.decide(tensor, 0.5, True, None)
