from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pneumo_edge.errors import RecipeError
from train.members import (
    GREY_MEAN,
    GREY_SCALE,
    GreyToThree,
    base_of,
    build_base,
    build_member,
    freeze,
)

# The paper's Fig. 1 and Fig. 2 give VGG16 and ResNet50; VGG19 and Xception have the same heads on
# the bases whose counts Keras documents.
VGG = [("flatten", (8192,), 0), ("hidden", (256,), 2_097_408), ("dropout", (256,), 0)]
POOLED = [
    ("pool", (2048,), 0),
    ("hidden", (512,), 1_049_088),
    ("hidden_bn", (512,), 2_048),
    ("hidden_relu", (512,), 0),
    ("dropout", (512,), 0),
]
FIGURES = {
    "vgg16": [("vgg16", (4, 4, 512), 14_714_688), *VGG, ("probability", (1,), 257)],
    "vgg19": [("vgg19", (4, 4, 512), 20_024_384), *VGG, ("probability", (1,), 257)],
    "resnet50": [("resnet50", (5, 5, 2048), 23_587_712), *POOLED, ("probability", (1,), 513)],
    "xception": [("xception", (5, 5, 2048), 20_861_480), *POOLED, ("probability", (1,), 513)],
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_member_has_the_layers_shapes_and_parameters_of_the_paper(
    name: str, big: Callable[[str], Any]
) -> None:
    model = big(name)
    drawn = [(layer.name, layer.output.shape[1:], layer.count_params()) for layer in model.layers]
    assert drawn[:2] == [("radiograph", (150, 150, 1), 0), ("grey", (150, 150, 3), 0)]
    assert drawn[2:] == FIGURES[name]
    assert model.get_layer("hidden").activation.__name__ == (
        "relu" if name.startswith("vgg") else "linear"
    )
    assert model.get_layer("probability").activation.__name__ == "sigmoid"


@pytest.mark.parametrize("name", FIGURES)
def test_the_normalisation_is_an_integer_mean_and_a_power_of_two(name: str) -> None:
    assert isinstance(GREY_MEAN[name], int)
    assert np.frexp(GREY_SCALE[name])[0] == 0.5


def test_the_baseline_has_four_blocks_and_a_dense_layer() -> None:
    model = build_member("cnn", dropout=0.25)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[2:10] == ["Conv2D", "MaxPooling2D"] * 4
    assert model.get_layer("hidden").units == 512
    assert model.get_layer("dropout").rate == 0.25
    grey = keras.Model(model.input, model.get_layer("grey").output)
    ramp = np.linspace(0, 255, 150 * 150, dtype=np.float32).reshape(1, 150, 150, 1)
    expected = (ramp - GREY_MEAN["cnn"]) * GREY_SCALE["cnn"]
    np.testing.assert_allclose(grey(ramp), expected, atol=1e-6)


def test_v15_swaps_six_strides_and_nothing_else() -> None:
    plain, shifted = build_base("resnet50", None), build_base("resnet50", None, "v1.5")
    # The input layers are numbered by Keras.
    assert [la.name for la in plain.layers[1:]] == [la.name for la in shifted.layers[1:]]
    assert plain.count_params() == shifted.count_params()
    assert [w.shape for w in plain.weights] == [w.shape for w in shifted.weights]
    assert plain.output.shape == shifted.output.shape
    changed = {
        one.name: (one.strides, other.strides)
        for one, other in zip(plain.layers, shifted.layers, strict=True)
        if getattr(one, "strides", None) != getattr(other, "strides", None)
    }
    assert changed == {
        f"conv{stage}_block1_{place}_conv": swap
        for stage in (3, 4, 5)
        for place, swap in ((1, ((2, 2), (1, 1))), (2, ((1, 1), (2, 2))))
    }


@pytest.mark.parametrize(
    ("name", "layers", "last_frozen", "first_free"),
    [
        # VGG16: input, 2 + pool, 2 + pool, 3 + pool, 3 + pool, 3 + pool; VGG19 has 4 for 3.
        ("vgg16", 16, "block5_conv1", "block5_conv2"),
        ("vgg19", 12, "block3_pool", "block4_conv1"),
        ("resnet50", 32, "conv2_block3_1_relu", "conv2_block3_2_conv"),
        ("xception", 32, "block4_sepconv2_bn", "conv2d"),
    ],
)
def test_freezing_counts_layers_as_keras_lists_them(
    name: str, layers: int, last_frozen: str, first_free: str, big: Callable[[str], Any]
) -> None:
    model = big(name)
    freeze(model, name, layers)
    inside = base_of(model, name).layers
    flags = [layer.trainable for layer in inside]
    assert flags == [False] * layers + [True] * (len(inside) - layers)
    names = [layer.name for layer in inside]
    assert names[layers - 1] == last_frozen
    assert names[layers].startswith(first_free)  # Keras numbers Xception's shortcuts
    freeze(model, name, 0)
    assert all(layer.trainable for layer in inside)


def test_more_frozen_layers_than_there_are_is_refused(big: Callable[[str], Any]) -> None:
    with pytest.raises(RecipeError, match="20 frozen layers, but vgg16 has 19"):
        freeze(big("vgg16"), "vgg16", 20)
    with pytest.raises(RecipeError, match="1 frozen layers, but cnn has 0"):
        freeze(build_member("cnn"), "cnn", 1)


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(RecipeError, match=r"no member is called 'vgg17'.*vgg16, vgg19"):
        build_member("vgg17")


def test_the_grey_layer_survives_a_file(tmp_path: Path) -> None:
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, GreyToThree(116, 0.5, name="grey")(inputs))
    model.save(tmp_path / "grey.keras")
    loaded = keras.models.load_model(tmp_path / "grey.keras")
    film = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    expected = np.concatenate([(film - 116) * 0.5] * 3, axis=-1)
    np.testing.assert_array_equal(loaded(film), expected)
    assert loaded.get_layer("grey").get_config()["mean"] == 116


def test_a_grey_film_goes_through_the_first_kernel_as_through_its_sum(
    big: Callable[[str], Any],
) -> None:
    """What lets convert fold the three channels to one."""
    model = big("vgg16")
    first = base_of(model, "vgg16").get_layer("block1_conv1")
    film = np.random.default_rng(2).uniform(0, 255, (1, 20, 20, 1)).astype(np.float32)
    three = model.get_layer("grey")(film)
    kernel = np.asarray(first.kernel).sum(axis=2, keepdims=True)
    folded = keras.ops.conv(film - 116, kernel, padding="same")
    direct = keras.ops.conv(three, first.kernel, padding="same")
    np.testing.assert_allclose(folded, direct, atol=2e-3)
