"""The gate's verdicts: accept, warn, refuse, and films set right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.errors import BadRadiographError
from pneumo_edge.gate.pose import Pose
from pneumo_edge.gate.statistics import Statistics
from pneumo_edge.gate.verdict import Gate, Looked, NotAChestFilmError
from pneumo_edge.prepare import prepare
from pneumo_edge.types import GateVerdict, Radiograph

Laid = Callable[[Pose], NDArray[np.uint8]]


def look(gate: Gate, pixels: NDArray[np.uint8]) -> Looked:
    film = Radiograph(pixels, 8, "film.png")
    return gate.look(film, prepare(film))


def test_an_upright_film_passes_untouched(statistics: Statistics, laid: Laid) -> None:
    looked = look(Gate(statistics), laid(Pose()))
    assert looked.verdict == GateVerdict("accept")
    np.testing.assert_array_equal(looked.film.pixels, laid(Pose()))


@pytest.mark.parametrize(
    "pose", [Pose(1), Pose(2), Pose(3), Pose(0, True), Pose(2, True), Pose(3, True)]
)
def test_a_film_that_lies_otherwise_is_set_right_and_that_is_told(
    pose: Pose, statistics: Statistics, laid: Laid
) -> None:
    looked = look(Gate(statistics), laid(pose))
    assert (looked.verdict.verdict, looked.verdict.corrected) == ("warn", pose.undo())
    assert pose.told() in looked.verdict.reasons[0]
    np.testing.assert_array_equal(looked.film.pixels, laid(Pose()))
    np.testing.assert_array_equal(
        looked.tensor.pixels, prepare(Radiograph(laid(Pose()), 8, "film")).pixels
    )


def test_a_mirrored_film_is_told_and_left(statistics: Statistics, laid: Laid) -> None:
    mirrored = laid(Pose(0, False, True))
    looked = look(Gate(statistics), mirrored)
    assert looked.verdict.corrected is None
    assert looked.verdict.reasons == (
        "may be mirrored, unless the heart or an opacity makes it look so",
    )
    np.testing.assert_array_equal(looked.film.pixels, mirrored)


def test_without_certainty_a_film_is_left_as_it_is(statistics: Statistics, laid: Laid) -> None:
    looked = look(Gate(replace(statistics, correct_at=1.1)), laid(Pose(2)))
    assert looked.verdict.corrected is None
    assert "perhaps lies upside down" in looked.verdict.reasons[0]
    np.testing.assert_array_equal(looked.film.pixels, laid(Pose(2)))


def test_what_would_still_look_cropped_is_not_turned(statistics: Statistics, laid: Laid) -> None:
    always = replace(statistics.crop, second_bias=np.array([0, 9], np.float32))
    looked = look(Gate(replace(statistics, crop=always)), laid(Pose(2)))
    assert looked.verdict.corrected is None
    assert [reason.partition(" (")[0] for reason in looked.verdict.reasons] == [
        "perhaps lies upside down",
        "seems to be cropped: part of the lungs may be missing",
    ]


def features(beside: float) -> NDArray[np.float32]:
    """A residual of `beside`, however far along what films vary in."""
    row = np.zeros(8, np.float32)
    row[0], row[3] = 50, np.sqrt(beside)
    return row


def test_the_distance_decides_between_accept_warn_and_refuse(statistics: Statistics) -> None:
    gate, so_far = Gate(statistics), GateVerdict("accept")
    near = gate.judge("film", so_far, features(1.9))
    assert (near.verdict, near.reasons) == ("accept", ())
    assert near.distance == pytest.approx(1.9 / 4, rel=1e-3)
    far = gate.judge("film", so_far, features(3.0))
    assert far.verdict == "warn"
    assert "unlike most training films (distance 0.75" in far.reasons[0]
    with pytest.raises(
        NotAChestFilmError, match=r"film is refused by the gate: .*distance 1.25"
    ) as err:
        gate.judge("film", so_far, features(5.0))
    assert err.value.verdict.verdict == "refuse"
    assert "--no-gate" in err.value.remedy
    assert isinstance(err.value, BadRadiographError)


def test_a_feature_that_is_no_number_is_refused(statistics: Statistics) -> None:
    with pytest.raises(NotAChestFilmError):
        Gate(statistics).judge("film", GateVerdict("accept"), np.full(8, np.nan, np.float32))


def test_a_warning_before_the_member_ran_stays(statistics: Statistics) -> None:
    so_far = GateVerdict("warn", ("is small",), "inverted")
    said = Gate(statistics).judge("film", so_far, features(0.1))
    assert (said.verdict, said.reasons, said.corrected) == ("warn", ("is small",), "inverted")
    assert said.distance is not None


def test_without_statistics_only_the_cheap_signals_are_looked_at(laid: Laid) -> None:
    gate = Gate(None)
    assert gate.member is None
    assert look(gate, laid(Pose(2))).verdict == GateVerdict("accept")
    assert gate.judge("film", GateVerdict("accept"), None) == GateVerdict("accept")
    with pytest.raises(NotAChestFilmError, match="hardly any contrast"):
        look(gate, np.full((200, 200), 128, np.uint8))
