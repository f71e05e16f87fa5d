from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError
from train.dirac import GAIN, pass_through, scale_down, spread
from train.members import build_base

BLOCKS = ["block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"]


@pytest.fixture(scope="module")
def base() -> Any:
    keras.utils.set_random_seed(1)
    return build_base("vgg16", None)


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-116, 139, (3, 150, 150, 3)).astype(np.float32)


def test_without_noise_the_base_is_the_filled_layers_pooled(
    base: Any, images: NDArray[np.float32]
) -> None:
    filled = 9  # VGG16 has 13 convolutions
    assert pass_through(base, BLOCKS, images, seed=3, noise=0.0) == filled

    seen = keras.Model(base.input, base.get_layer("block2_conv2").output).predict(images, verbose=0)
    pooled = seen * GAIN / spread(base, "block2_conv2", images)
    for _ in range(4):
        pooled = np.asarray(keras.ops.max_pool(pooled, 2, 2))
    np.testing.assert_allclose(
        base.predict(images, verbose=0)[..., :128], pooled, rtol=1e-4, atol=1e-4
    )


def test_channels_that_no_input_fills_are_alive_and_unlike(
    base: Any, images: NDArray[np.float32]
) -> None:
    pass_through(base, BLOCKS, images, seed=3)

    features = base.predict(images, verbose=0)
    deviation = features.std(axis=(0, 1, 2))
    assert (deviation > 0).mean() > 0.9
    assert 0.1 < np.median(deviation) < 10


def test_a_seed_gives_the_same_kernels_and_another_others(
    base: Any, images: NDArray[np.float32]
) -> None:
    drawn = []
    for seed in (3, 3, 4):
        pass_through(base, BLOCKS, images, seed=seed)
        drawn.append(base.get_layer("block4_conv1").get_weights()[0])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_a_dead_channel_is_not_divided_by_zero(base: Any, images: NDArray[np.float32]) -> None:
    layer = base.get_layer("block2_conv2")
    kept = layer.get_weights()
    kernel, bias = (weight.copy() for weight in kept)
    kernel[..., 0], bias[0] = 0, 0
    layer.set_weights([kernel, bias])
    try:
        assert np.isfinite(1 / spread(base, "block2_conv2", images)).all()
    finally:
        layer.set_weights(kept)


def test_nothing_to_pass_on_is_refused(base: Any, images: NDArray[np.float32]) -> None:
    with pytest.raises(RecipeError, match="vgg16 with 0 filled convolutions"):
        pass_through(base, [], images, seed=3)
    with pytest.raises(RecipeError, match="resnet50"):
        pass_through(build_base("resnet50", None), ["conv1_conv"], images, seed=3)


def test_a_random_rest_hands_on_features_of_the_stated_size(
    base: Any, images: NDArray[np.float32]
) -> None:
    assert scale_down(base, BLOCKS, images, seed=3) == 9
    deviation = base.predict(images, verbose=0).std()
    # Each of nine He-normal layers keeps the size of what it reads; pooling and chance move it somewhat.
    assert GAIN / 5 < deviation < GAIN * 5
    first = base.get_layer("block3_conv1").get_weights()[0]
    scale_down(base, BLOCKS, images, seed=4)
    assert not np.array_equal(first, base.get_layer("block3_conv1").get_weights()[0])
    with pytest.raises(RecipeError, match="vgg16 with 0 filled convolutions"):
        scale_down(base, [], images, seed=3)
