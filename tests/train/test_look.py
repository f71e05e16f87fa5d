from __future__ import annotations

import cv2
import numpy as np

from train.look import RINGS, border, describe, exposure, framing, sharpness

RNG = np.random.default_rng(4)


def film() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    noise = cv2.GaussianBlur(RNG.normal(0, 60, (150, 150)), (0, 0), 2)
    return np.clip(120 + 4 * noise, 0, 255).astype(np.float32)


def test_every_figure_is_finite_for_films_of_one_grey_level_too() -> None:
    tensors = np.stack([np.full((150, 150, 1), grey, np.uint8) for grey in (0, 7, 255)])
    looks = describe(tensors)
    assert looks.shape[0] == 3
    assert np.isfinite(looks).all()
    assert describe(tensors[1:])[0].tolist() == looks[1].tolist()


def test_exposure_follows_brightness_and_counts_black_and_white() -> None:
    dark = film() * 0.5
    assert (exposure(dark)[:7] <= exposure(dark * 2)[:7]).all()
    half = np.zeros((150, 150), np.float32)
    half[:75] = 255
    assert exposure(half)[-2:].tolist() == [0.5, 0.5]


def test_the_border_is_read_at_each_side() -> None:
    image = np.full((150, 150), 100, np.float32)
    image[:6] = 255
    means = border(image)[::2]
    assert means[0] == 1
    assert (means[1:] < means[0]).all()


def test_framing_takes_no_notice_of_exposure_or_of_a_mirrored_film() -> None:
    image = film()
    np.testing.assert_allclose(framing(image), framing(image * 0.5), atol=1e-4)
    np.testing.assert_allclose(framing(image), framing(image[:, ::-1].copy()), atol=1e-4)
    assert np.abs(framing(image) - framing(np.roll(image, 40, axis=0))).max() > 0.05


def test_blurring_moves_power_to_the_inner_rings() -> None:
    image = RNG.normal(120, 30, (150, 150)).astype(np.float32)
    before, after = (
        sharpness(image),
        sharpness(np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.float32)),
    )
    assert len(before) == len(RINGS) - 1
    assert after[0] > before[0]
    assert after[-1] < before[-1] - 1
