"""A member's convolution base as a float .tflite that takes one grey channel."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from convert.graph import fuse_relus, pack_stem, separate_weights
from pneumo_edge.errors import RecipeError
from pneumo_edge.types import SIDE
from train.members import GreyToThree

SIGNATURE = "serving_default"
REMEDY = "convert a run that `pneumo-edge train` made"


@dataclass(frozen=True, slots=True, eq=False)
class FloatBackbone:
    """A convolution base in float32, ready to be quantized."""

    name: str
    """vgg16, vgg19, resnet50 or xception."""

    tflite: bytes
    """Input `grey` (1, 150, 150, 1), already normalised; output `features`, the last feature map."""

    mean: int
    """Grey level, 0 to 255, that the normalisation maps to zero."""

    scale: float
    """The normalised input is scale * (grey level - mean)."""

    gains: NDArray[np.float32]
    """(channels,): what `features` are to be multiplied with to be the member's own; see `equalize`."""

    copies: Mapping[int, int] = field(default_factory=dict)
    """By tensor, how many copies of its channels there are, where more than one; see `finer`."""

    def normalise(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepared films (n, rows, cols, 1) as the input that the graph takes."""
        return np.asarray(self.scale * (pixels.astype(np.float32) - self.mean), np.float32)


def convolution_base(member: Any) -> Any:
    """The member's convolution base: its only layer that is itself a model.

    Raises:
        RecipeError: the model is not made as train.members makes one.
    """
    bases = [layer for layer in member.layers if isinstance(layer, keras.Model)]
    if len(bases) != 1:
        raise RecipeError(
            f"model {member.name} has {len(bases)} convolution bases, not one", REMEDY
        )
    return bases[0]


def normalisation(member: Any) -> GreyToThree:
    """The layer that normalises the member's grey levels and repeats them into three channels.

    Raises:
        RecipeError: the model is not made as train.members makes one.
    """
    found = [layer for layer in member.layers if isinstance(layer, GreyToThree)]
    if len(found) != 1:
        raise RecipeError(f"model {member.name} has {len(found)} grey layers, not one", REMEDY)
    return found[0]


def grey_base(member: Any) -> Any:
    """A float32 copy of the convolution base with a batch of 1 and one grey channel.

    The member's three channels are equal, so the first kernel summed over its input channels gives
    the same feature map; and padding with zero stays padding with the mean grey level.
    """
    base = convolution_base(member)
    grey = keras.Input((SIDE, SIDE, 1), batch_size=1, dtype="float32", name="grey")
    copy = keras.models.clone_model(base, input_tensors=grey, clone_function=_float32)
    pairs = zip(copy.weights, base.weights, strict=True)
    copy.set_weights([_fold(np.asarray(old, np.float32), tuple(new.shape)) for new, old in pairs])
    return copy


def _float32(layer: Any) -> Any:
    # A base trained in mixed_bfloat16 must not take its compute type along.
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})


def _fold(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum an (rows, cols, 3, out) kernel over its channels where the copy expects (rows, cols, 1, out)."""
    if weight.shape == shape:
        return weight
    return np.asarray(weight.sum(axis=2, keepdims=True, dtype=np.float64), np.float32)


def export(member: Any) -> FloatBackbone:
    """Export a member's convolution base.

    Args:
        member: As train.members builds it; not modified.

    Raises:
        RecipeError: it is not such a member.
    """
    grey_to_three = normalisation(member)
    copy = grey_base(member)
    trainable = [tf.constant(v.numpy()) for v in copy.trainable_variables]
    frozen = [tf.constant(v.numpy()) for v in copy.non_trainable_variables]

    spec = tf.TensorSpec((1, SIDE, SIDE, 1), tf.float32, name="grey")

    def backbone(grey: tf.Tensor) -> dict[str, tf.Tensor]:
        # The weights enter as constants: variables would stay variables in the graph, and no
        # accelerator takes those.
        features, _ = copy.stateless_call(trainable, frozen, grey, training=False)
        return {"features": features}

    tflite = to_tflite({SIGNATURE: tf.function(backbone, input_signature=[spec])})
    return FloatBackbone(
        name=convolution_base(member).name,
        tflite=pack_stem(separate_weights(fuse_relus(tflite))),
        mean=grey_to_three.mean,
        scale=grey_to_three.scale,
        gains=np.ones(copy.output.shape[-1], np.float32),
    )


def to_tflite(signatures: dict[str, Any]) -> bytes:
    """A float .tflite of tf.functions, each a signature under its key; all share their constants."""
    module = tf.Module()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "saved")
        tf.saved_model.save(module, path, signatures=signatures)
        return bytes(tf.lite.TFLiteConverter.from_saved_model(path, list(signatures)).convert())
