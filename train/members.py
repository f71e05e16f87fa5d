"""The four members and the baseline, layer for layer as the paper draws them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras

from pneumo_edge.errors import RecipeError
from pneumo_edge.types import SIDE
from train.recipe import BASELINE

GREY_MEAN = {"vgg16": 116, "vgg19": 116, "resnet50": 116, "xception": 128, "cnn": 128}
"""Subtracted from the grey level, 0 to 255. An integer, so that an int8 input holds it exactly."""

GREY_SCALE = {"vgg16": 1.0, "vgg19": 1.0, "resnet50": 1.0, "xception": 1 / 128, "cnn": 1 / 128}
"""Multiplied after the mean is subtracted; a power of two, for the same reason."""

_BASES: dict[str, Callable[..., Any]] = {
    "vgg16": keras.applications.VGG16,
    "vgg19": keras.applications.VGG19,
    "resnet50": keras.applications.ResNet50,
    "xception": keras.applications.Xception,
}


@keras.saving.register_keras_serializable("pneumo_edge")
class GreyToThree(keras.layers.Layer):  # type: ignore[misc]  # keras has no type stubs
    """(x - mean) * scale, repeated into three equal channels.

    ImageNet's three means are replaced by one, their rounded average: with equal channels the first
    convolution folds to a single grey channel exactly, and its zero padding is one grey level.
    """

    def __init__(self, mean: int, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = mean
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        """(n, rows, cols, 1) grey levels to (n, rows, cols, 3)."""
        return keras.ops.repeat((inputs - self.mean) * self.scale, 3, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Three channels in place of one."""
        return (*input_shape[:-1], 3)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs."""
        return {**super().get_config(), "mean": self.mean, "scale": self.scale}


def _strides_v15(base: Any) -> Any:
    """ResNet50 with each halving in the 3x3 convolution, where v1.5 weights were trained.

    The same layers, names and parameter counts; only the strides of two convolutions of a stage swap.
    """

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        stage, _, rest = layer.name.partition("_")
        if stage in {"conv3", "conv4", "conv5"} and rest in {"block1_1_conv", "block1_2_conv"}:
            config["strides"] = (1, 1) if rest == "block1_1_conv" else (2, 2)
        return layer.__class__.from_config(config)

    return keras.models.clone_model(base, clone_function=clone)


def build_base(
    name: str, weights: Literal["imagenet"] | None, strides: Literal["v1", "v1.5"] = "v1"
) -> Any:
    """The convolution base of a member, without its top.

    Args:
        name: vgg16, vgg19, resnet50 or xception.
        weights: imagenet downloads what Keras publishes; None draws at random.
        strides: ResNet50 only.

    Raises:
        RecipeError: an unknown name, or the download failed.
    """
    if name not in _BASES:
        raise RecipeError(f"no member is called {name!r}", f"name one of {', '.join(_BASES)}")
    try:
        base = _BASES[name](
            include_top=False, weights=weights, input_shape=(SIDE, SIDE, 3), name=name
        )
    except Exception as err:  # Keras raises a bare Exception when the download fails
        if weights is None:
            raise
        raise RecipeError(
            f"the ImageNet weights of {name} cannot be had: {err}",
            "connect to the internet once, or pass --init none or a folder of weights",
        ) from err
    if name == "resnet50" and strides == "v1.5":
        shifted = _strides_v15(base)
        shifted.set_weights(base.get_weights())
        return shifted
    return base


def _vgg_head(x: Any, dropout: float) -> Any:
    """The paper's Fig. 1: flatten, dense 256, dropout, sigmoid."""
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(256, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(x)


def _pooled_head(x: Any, dropout: float) -> Any:
    """The paper's Fig. 2; it does not name the hidden activation, and ReLU is the usual reading."""
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(512, name="hidden")(x)
    x = keras.layers.BatchNormalization(name="hidden_bn")(x)
    x = keras.layers.ReLU(name="hidden_relu")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(x)


def build_baseline(dropout: float = 0.5) -> Any:
    """The plain CNN: four convolution-pooling blocks and a dense layer.

    The paper shows its layers only as a picture (Fig. 6); this is the conventional reading.
    """
    inputs = keras.Input((SIDE, SIDE, 1), name="radiograph")
    x = keras.layers.Rescaling(GREY_SCALE[BASELINE], offset=-1.0, name="grey")(inputs)
    for block, filters in enumerate((32, 64, 128, 128), start=1):
        x = keras.layers.Conv2D(filters, 3, activation="relu", name=f"conv{block}")(x)
        x = keras.layers.MaxPooling2D(2, name=f"pool{block}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(512, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    outputs = keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(x)
    return keras.Model(inputs, outputs, name=BASELINE)


def build_member(
    name: str,
    weights: Literal["imagenet"] | None = None,
    dropout: float = 0.5,
    strides: Literal["v1", "v1.5"] = "v1",
) -> Any:
    """A member, or the baseline, ready to be trained.

    Args:
        name: vgg16, vgg19, resnet50, xception or cnn.
        weights: Of the base: imagenet through Keras, or None for random ones.
        dropout: Rate in the head.
        strides: ResNet50 only; see `_strides_v15`.

    Returns:
        A Keras model from (n, 150, 150, 1) grey levels in [0, 255] to (n, 1) probabilities of
        pneumonia. Its base is the nested layer called `name`.

    Source: the paper's Fig. 1 and Fig. 2, whose parameter counts it has.
    """
    if name == BASELINE:
        return build_baseline(dropout)
    base = build_base(name, weights, strides)
    inputs = keras.Input((SIDE, SIDE, 1), name="radiograph")
    x = GreyToThree(GREY_MEAN[name], GREY_SCALE[name], name="grey")(inputs)
    head = _vgg_head if name.startswith("vgg") else _pooled_head
    return keras.Model(inputs, head(base(x), dropout), name=f"{name}_member")


def base_of(model: Any, name: str) -> Any:
    """The convolution base inside a member."""
    return model.get_layer(name)


def freeze(model: Any, name: str, layers: int) -> None:
    """Freeze the first layers of a member's base, and let the rest train.

    Args:
        model: From `build_member`; changed in place.
        name: The member; the baseline has no base and takes 0 only.
        layers: Counted as Keras lists them, the input layer included, as the paper counts.

    Raises:
        RecipeError: more layers than the base has.
    """
    depth = 0 if name == BASELINE else len(base_of(model, name).layers)
    if layers > depth:
        raise RecipeError(f"{layers} frozen layers, but {name} has {depth}", "freeze fewer")
    if name == BASELINE:
        return
    for index, layer in enumerate(base_of(model, name).layers):
        layer.trainable = index >= layers
