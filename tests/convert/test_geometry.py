"""Where positions lie, held against what a changed pixel reaches."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from convert.export import convolution_base
from convert.geometry import grid
from pneumo_edge.errors import RecipeError
from pneumo_edge.types import SIDE
from train.members import GreyToThree, build_member


def without_projections(member: Any) -> Any:
    """Without what passes the blocks that halve a map by one pixel in four, as grid() leaves it out of account.

    In a trained ResNet50 most of what reaches a position comes through the blocks; in a random one it does not.
    """
    for layer in convolution_base(member).layers:
        one = isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (1, 1)
        if one and layer.strides == (2, 2):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    return member


@pytest.fixture(params=["vgg16", "vgg19", "resnet50", "xception", "resnet50 v1.5"])
def member(request: pytest.FixtureRequest, members: dict[str, Any]) -> Any:
    if request.param == "resnet50 v1.5":
        return without_projections(build_member("resnet50", strides="v1.5"))
    if request.param == "xception":
        return without_projections(build_member("xception"))
    return members[request.param]


def test_a_position_lies_in_the_middle_of_what_moves_it(member: Any) -> None:
    """By the gradient, whose weight falls off evenly around the middle of a receptive field."""
    base = convolution_base(member)
    rng = np.random.default_rng(5)
    films = tf.constant(rng.normal(0, 50, (4, SIDE, SIDE, 3)), tf.float32)
    found = grid(member)
    count = base.output.shape[1]
    middle = count // 2
    with tf.GradientTape() as tape:
        tape.watch(films)
        features = base(films, training=False)
        reached = tf.reduce_sum(features[:, middle, middle] * rng.normal(size=features.shape[-1]))
    weight = np.square(np.asarray(tape.gradient(reached, films))).sum((0, 3))
    pixels = np.arange(SIDE) + 0.5
    for along in (0, 1):
        centre = (weight.sum(1 - along) * pixels).sum() / weight.sum()
        # What falls off the film's edge draws the middle inwards; two members differ by 16 pixels.
        assert found.first + middle * found.step == pytest.approx(centre, abs=6)


@pytest.mark.parametrize(
    ("name", "first"), [("vgg16", 16.0), ("vgg19", 16.0), ("resnet50", 0.5), ("xception", 17.5)]
)
def test_the_members_grids(members: dict[str, Any], name: str, first: float) -> None:
    """By hand: VGG halves from the edge; ResNet50 starts on the first pixel; Xception drops one twice."""
    found = grid(members[name])
    assert (found.first, found.step) == (first, 32.0)


def small(layers: list[Any]) -> Any:
    inputs = keras.Input((SIDE, SIDE, 3))
    x = inputs
    for layer in layers:
        x = layer(x)
    base = keras.Model(inputs, x, name="vgg16")
    given = keras.Input((SIDE, SIDE, 1))
    return keras.Model(given, base(GreyToThree(116, 1.0)(given)))


def test_dilation_and_padding_count() -> None:
    conv = keras.layers.Conv2D
    found = grid(
        small([keras.layers.ZeroPadding2D(3), conv(2, 3, dilation_rate=2), conv(2, 5, strides=3)])
    )
    # Middles, as indices: -3, then + 2, then + 2; steps 1, 1, 3.
    assert (found.first, found.step) == (1.5, 3.0)


def test_a_layer_that_is_not_square_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="layer flat is not alike"):
        grid(small([keras.layers.Conv2D(2, (3, 5), name="flat")]))
