"""Several films at a time, out in their order, with no more of them begun than there is room for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pneumo_edge import engines, pipeline
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.ensemble import Decision, Ensemble
from pneumo_edge.errors import BundleError
from pneumo_edge.screening import Screener
from pneumo_edge.sources import Source
from pneumo_edge.types import Finding, InputTensor, Interval, Refusal

BUNDLE = load_bundle()


@dataclass
class Slow:
    """Takes as long as a film's first grey level says, in milliseconds; answers with it."""

    lanes: int

    bundle: Bundle = BUNDLE
    engine: engines.Engine = field(default_factory=lambda: engines.choose("cpu"))
    at_once: int = 0

    def decide(
        self,
        tensor: InputTensor,
        threshold: float,  # noqa: ARG002 - the protocol's
        early_exit: bool,  # noqa: ARG002
        order: Sequence[str] | None,  # noqa: ARG002
        band: Interval | None,  # noqa: ARG002
    ) -> Decision:
        self.at_once += 1
        assert self.at_once <= self.lanes
        level = int(tensor.pixels[0, 0, 0, 0])
        time.sleep(level / 1000)
        self.at_once -= 1
        if level == 255:
            raise BundleError("the models answer nonsense", "pack them again")
        return Decision("normal", (), level / 255, None, "cpu")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film for each grey level that is asked for, and a file that is none."""
    place = tmp_path_factory.mktemp("films")
    for level in (0, 1, 3, 10, 255):
        assert cv2.imwrite(str(place / f"{level}.png"), np.full((150, 150), level, np.uint8))
    (place / "none.png").write_text("text")
    return place


@given(
    names=st.lists(st.sampled_from(["0", "1", "3", "10", "none"]), max_size=20),
    lanes=st.integers(1, 4),
)
@settings(max_examples=20)
def test_they_come_in_order_whatever_each_takes(films: Path, names: list[str], lanes: int) -> None:
    sources = (Source(str(films / f"{name}.png")) for name in names)
    found = list(pipeline.outcomes(sources, Screener(Slow(lanes), "paper"), lanes))
    assert [Path(one.file).stem for one in found] == names
    for one, name in zip(found, names, strict=True):
        assert isinstance(one, Refusal) == (name == "none")
        assert isinstance(one, Refusal) or one.y == int(name) / 255


def test_no_more_is_begun_than_there_is_room_for(films: Path) -> None:
    asked = 0

    def endless() -> Iterator[Source]:
        nonlocal asked
        while True:
            asked += 1
            yield Source(str(films / "1.png"))

    found = pipeline.outcomes(endless(), Screener(Slow(2), "paper"), 2)
    for done in range(1, 30):
        next(found)
        assert asked <= done + 2 * 2 + 1
    found.close()


def test_a_failing_model_ends_it_after_the_films_before(films: Path) -> None:
    sources = (Source(str(films / f"{name}.png")) for name in ("0", "255", "0"))
    found = pipeline.outcomes(sources, Screener(Slow(1), "paper"), 1)
    assert isinstance(next(found), Finding)
    with pytest.raises(BundleError, match="nonsense"):
        list(found)


def test_lanes_that_share_real_members_answer_as_one_film_at_a_time_does(
    tmp_path: Path, grey: NDArray[np.uint8]
) -> None:
    paths = []
    for shift in range(4):
        paths.append(tmp_path / f"{shift}.png")
        assert cv2.imwrite(str(paths[-1]), np.roll(grey, 12 * shift, 1))
    sources = [Source(str(path)) for path in paths]
    engine = engines.choose("cpu")
    screener = Screener(Ensemble(BUNDLE, engine, 1), "paper")
    found = [
        one for one in pipeline.outcomes(iter(sources), screener, 3) if isinstance(one, Finding)
    ]
    alone = [screener.screen(source) for source in sources]
    assert [(one.file, one.y) for one in found] == [(one.file, one.y) for one in alone]
    assert len({one.y for one in found}) == 4
    for one in found:
        assert [vote.name for vote in one.members] == BUNDLE.manifest.evaluation_order
