"""What is drawn is what the classifiers are to tell apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.gate_draws import POSES_A_FILM, crop_draws, cropped, pose_draws, varied
from pneumo_edge.gate.pose import Pose


def films(count: int = 3) -> NDArray[np.uint8]:
    """Bright at the top, so that every pose but the mirror is seen in the means of its edges."""
    ramp = np.linspace(230, 20, 150).astype(np.uint8)
    return np.tile(ramp[:, None, None], (count, 1, 150, 1))


def test_each_pose_has_its_bright_edge_where_its_number_says() -> None:
    (small, numbers), *_ = pose_draws(films(200), 1, 4)
    assert len(small) == 200 * POSES_A_FILM
    assert set(numbers) == set(range(16))
    for film, number in zip(small, numbers, strict=True):
        pose = Pose.of(int(number))
        edges = [film[2:6, 8:16], film[8:16, 2:6], film[-6:-2, 8:16], film[8:16, -6:-2]]
        # Counter-clockwise: top, left, bottom, right.
        bright = int(np.argmax([edge.mean() for edge in edges]))
        assert bright == (pose.turns + 2 * pose.inverted) % 4


def test_every_round_is_another_and_the_same_seed_is_the_same() -> None:
    first, second = (draw[0] for draw in pose_draws(films(), 2, 1))
    again = next(iter(pose_draws(films(), 1, 1)))[0]
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).max() > 1


def test_a_crop_is_a_part_of_the_film_and_no_small_one() -> None:
    rng = np.random.default_rng(0)
    film = rng.integers(0, 256, (150, 150, 1)).astype(np.uint8)
    for _ in range(50):
        part = cropped(film, rng)
        rows, cols, _ = part.shape
        assert min(rows, cols) >= 0.39 * 150
        assert min(rows, cols) <= 0.66 * 150
        corner = part[0, 0, 0]
        places = np.argwhere(film[:, :, 0] == corner)
        assert any(
            np.array_equal(film[r : r + rows, c : c + cols], part) for r, c in places.tolist()
        )


def test_crops_and_whole_films_are_drawn_in_equal_parts() -> None:
    (small, classes), *_ = crop_draws(films(5), 1, 2)
    assert small.shape == (10, 24, 24)
    assert np.bincount(classes).tolist() == [5, 5]
    # A ramp that is cut is flatter.
    spans = np.ptp(small.mean(2), 1)
    assert spans[:5].min() > 100
    assert varied(films(), np.random.default_rng(1)).shape == (3, 24, 24)
