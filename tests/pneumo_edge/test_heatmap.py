"""Heat maps: what they add up to, and where they lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BundleError
from pneumo_edge.heatmap import MAP_SIDE, display, fuse, slope, strips, upsample
from pneumo_edge.manifest import Grid, Manifest
from pneumo_edge.prepare import prepare
from pneumo_edge.types import SIDE, Frame, MemberScore, Radiograph

BundleWith = Callable[[dict[str, bytes]], Bundle]
COUNTS = {"vgg16": 4, "vgg19": 4, "resnet50": 5, "xception": 5}
WEIGHTS = {"vgg16": 0.3, "vgg19": -0.1, "resnet50": 0.6, "xception": 0.2}
GRIDS = {
    "vgg16": Grid(first=16.0, step=32.0),
    "vgg19": Grid(first=16.0, step=32.0),
    "resnet50": Grid(first=20.5, step=32.0),
    "xception": Grid(first=17.5, step=32.0),
}


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """Of the bundle that ships, with positions as convert finds them, and with a part of each member in y."""
    shipped = load_bundle().manifest
    members = [
        msgspec.structs.replace(m, grid=GRIDS[m.name], weight=WEIGHTS[m.name])
        for m in shipped.members
    ]
    return msgspec.structs.replace(shipped, members=members)


def score(name: str, added: NDArray[np.float32], logit: float) -> MemberScore:
    return MemberScore(name, 1 / (1 + np.exp(-logit)), logit, 1.0, added)


@st.composite
def scores(draw: st.DrawFn) -> list[MemberScore]:
    """Of some members, in any order."""
    names = draw(st.permutations(list(COUNTS)).map(lambda all_: all_[: 1 + len(all_) // 2]))
    values = st.floats(-3, 3, width=32)
    return [
        score(
            name,
            draw(arrays(np.float32, (COUNTS[name], COUNTS[name]), elements=values)),
            draw(st.floats(-30, 30)),
        )
        for name in names
    ]


@given(given_scores=scores())
def test_a_fused_map_and_what_lies_nowhere_add_up_to_the_vote(
    manifest: Manifest, given_scores: list[MemberScore]
) -> None:
    weights = {member.name: member.weight for member in manifest.members}
    heat = fuse(given_scores, manifest)
    y = manifest.bias + sum(weights[s.name] * s.probability for s in given_scores)
    total = heat.undecided + heat.nowhere + float(heat.values.sum(dtype=np.float64))
    assert total == pytest.approx(y, abs=1e-4)  # float32 over 900 cells
    assert heat.members == tuple(s.name for s in given_scores)


@given(given_scores=scores(), factor=st.floats(-2, 2))
def test_a_fused_map_is_linear_in_the_weights(
    manifest: Manifest, given_scores: list[MemberScore], factor: float
) -> None:
    members = [
        msgspec.structs.replace(member, weight=factor * member.weight)
        for member in manifest.members
    ]
    heat = fuse(given_scores, manifest)
    other = fuse(given_scores, msgspec.structs.replace(manifest, members=members))
    np.testing.assert_allclose(other.values, factor * heat.values, atol=1e-6)


@given(given_scores=scores())
def test_the_members_order_does_not_matter(
    manifest: Manifest, given_scores: list[MemberScore]
) -> None:
    one, other = fuse(given_scores, manifest), fuse(given_scores[::-1], manifest)
    np.testing.assert_allclose(one.values, other.values, atol=1e-6)


@given(logit=st.floats(-50, 50))
def test_the_slope_is_that_of_the_chord_from_undecided(logit: float) -> None:
    p = 1 / (1 + np.exp(-logit))
    assert 0 < slope(logit) <= 0.25
    assert slope(logit) * logit == pytest.approx(p - 0.5, abs=1e-7)


@pytest.mark.parametrize("name", COUNTS)
def test_a_position_is_hottest_where_its_member_sees(manifest: Manifest, name: str) -> None:
    grid, count = GRIDS[name], COUNTS[name]
    weight = {member.name: member.weight for member in manifest.members}[name]
    for row, col in np.ndindex(count, count):
        added = np.zeros((count, count), np.float32)
        added[row, col] = np.sign(weight)
        values = fuse([score(name, added, 1.0)], manifest).values
        assert values.min() >= 0
        down, across = np.unravel_index(values.argmax(), values.shape)
        cell = SIDE / MAP_SIDE
        for found, at in ((down, row), (across, col)):
            # The outermost position is as hot up to the film's edge as in its middle.
            middle = grid.first + grid.step * at
            low = 0.0 if at == 0 else middle - cell
            high = SIDE if at == count - 1 else middle + cell
            assert low <= (found + 0.5) * cell <= high


def test_a_bundle_that_tells_no_places_has_them_evenly(manifest: Manifest) -> None:
    members = [msgspec.structs.replace(member, grid=None) for member in manifest.members]
    older = msgspec.structs.replace(manifest, members=members)
    added = np.zeros((5, 5), np.float32)
    added[2, 2] = 1
    values = fuse([score("resnet50", added, 1.0)], older).values
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-7)
    assert values[MAP_SIDE // 2, MAP_SIDE // 2] == values.max()


FRAMES = st.builds(
    Frame,
    across=st.floats(0.5, 1.3),
    down=st.floats(0.5, 1.3),
    right=st.floats(-38, 38),
    below=st.floats(-38, 38),
)


@given(given_scores=scores(), frame=FRAMES)
def test_a_map_in_a_frame_adds_up_as_well_and_stays_inside(
    manifest: Manifest, given_scores: list[MemberScore], frame: Frame
) -> None:
    whole, heat = fuse(given_scores, manifest), fuse(given_scores, manifest, frame)
    total = float(heat.values.sum(dtype=np.float64))
    assert total == pytest.approx(float(whole.values.sum(dtype=np.float64)), abs=1e-4)
    left, top, right, bottom = frame.box
    middles = (np.arange(MAP_SIDE) + 0.5) / MAP_SIDE
    cell = 1 / MAP_SIDE  # a position beyond the film's edge is told at that edge
    outside = (middles < left - cell) | (middles > right + cell)
    assert not heat.values[:, outside].any()
    outside = (middles < top - cell) | (middles > bottom + cell)
    assert not heat.values[outside].any()


def test_a_position_lies_where_the_frame_puts_it(manifest: Manifest) -> None:
    added = np.zeros((5, 5), np.float32)
    added[2, 1] = 1
    frame = Frame(across=0.5, down=0.8, right=15.0, below=-10.0)
    values = np.abs(fuse([score("resnet50", added, 1.0)], manifest, frame).values)
    down, across = np.unravel_index(values.argmax(), values.shape)
    grid = GRIDS["resnet50"]
    left, top, _, _ = frame.box
    expected = (
        left + 0.5 * (grid.first + grid.step) / SIDE,
        top + 0.8 * (grid.first + 2 * grid.step) / SIDE,
    )
    assert (across + 0.5) / MAP_SIDE == pytest.approx(expected[0], abs=1 / MAP_SIDE)
    assert (down + 0.5) / MAP_SIDE == pytest.approx(expected[1], abs=1 / MAP_SIDE)


def test_a_score_without_a_map_is_a_mistake_of_the_caller(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="vgg16 was scored without its map"):
        fuse([MemberScore("vgg16", 0.5, 0.0, 1.0)], manifest)


@pytest.mark.parametrize("shape", [(180, 240), (75, 300), (1201, 613), (30, 30), (7, 9)])
def test_upsampling_is_opencvs_bilinear_enlargement(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(3).normal(size=(MAP_SIDE, MAP_SIDE)).astype(np.float32)
    expected = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    found = upsample(values, *shape)
    assert found.shape == shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)  # OpenCV rounds its weights


def test_strips_cover_every_row_once() -> None:
    values = np.ones((MAP_SIDE, MAP_SIDE), np.float32)
    rows = [row for which, _ in strips(values, 700, 5) for row in range(which.start, which.stop)]
    assert rows == list(range(700))


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_a_film_is_shown_from_black_to_white(bits: int) -> None:
    top = 2**bits - 1
    pixels: Any = (
        np.linspace(0, top, 600).astype(np.uint8 if bits == 8 else np.uint16).reshape(300, 2)
    )
    shown = display(Radiograph(pixels, bits, "film"))
    assert (str(shown.dtype), shown.shape) == ("uint8", (300, 2))
    np.testing.assert_allclose(shown, pixels * (255 / top), atol=0.5001)


@pytest.fixture(scope="module")
def explaining() -> Ensemble:
    return Ensemble(load_bundle(), choose("cpu"), 1, explains=True)


def test_the_maps_of_the_bundle_that_ships_add_up_to_its_y(
    explaining: Ensemble, film: Path
) -> None:
    votes = explaining.score(prepare(decode_file(film)))
    heat = fuse(votes.members, explaining.bundle.manifest)
    total = heat.undecided + heat.nowhere + float(heat.values.sum(dtype=np.float64))
    assert total == pytest.approx(votes.y, abs=1e-4)
    assert float(np.abs(heat.values).max()) > 1e-5, "an empty map would add up, too"


def test_maps_change_no_answer(explaining: Ensemble, film: Path) -> None:
    tensor = prepare(decode_file(film))
    plain = Ensemble(load_bundle(), choose("cpu"), 1).score(tensor)
    with_maps = explaining.score(tensor)
    assert with_maps.y == plain.y
    assert [s.logit for s in with_maps.members] == [s.logit for s in plain.members]
    assert all(s.map is None for s in plain.members), "not asked for, so not computed"
    assert [s.map.shape for s in with_maps.members if s.map is not None] == [
        (COUNTS[s.name], COUNTS[s.name]) for s in with_maps.members
    ]


def test_a_head_without_maps_is_refused_when_they_are_asked_for(
    bundle_with: BundleWith, bundle_dir: Path
) -> None:
    head = (bundle_dir / "head.tflite").read_bytes().replace(b"explain_", b"nothing_")
    older = bundle_with({"head.tflite": head})
    with pytest.raises(BundleError, match=r"older than heat maps.*no explain_vgg16") as refused:
        Ensemble(older, choose("cpu"), 1, explains=True)
    assert "pneumo-edge convert" in refused.value.remedy
    assert "--overlay" in refused.value.remedy
    Ensemble(older, choose("cpu"), 1)
