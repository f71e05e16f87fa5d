"""The head: the members' classifiers and the linear fusion in one small .tflite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from litert_quantizer import qtyping, recipe_manager
from litert_quantizer.quantizer import Quantizer
from numpy.typing import NDArray

from convert.export import REMEDY, convolution_base, to_tflite
from pneumo_edge.errors import RecipeError

LARGE = 4096
"""Elements from which a kernel is stored in int8; smaller ones stay float32, which costs nothing."""

Storage = Literal["float32", "weight-only-int8", "dynamic-int8"]


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A member's head with its BatchNormalization folded and its Dropout gone."""

    name: str
    shape: tuple[int, int, int]
    """Rows, columns and channels of the feature map."""
    pools: bool
    """Whether the feature map is averaged over its rows and columns, or flattened."""
    hidden_kernel: NDArray[np.float32]
    """(inputs, units)."""
    hidden_bias: NDArray[np.float32]
    """(units,)."""
    output_kernel: NDArray[np.float32]
    """(units, 1)."""
    output_bias: NDArray[np.float32]
    """(1,)."""


def fold_classifier(member: Any) -> Classifier:
    """Fold what follows a member's convolution base.

    Raises:
        RecipeError: it is neither of the paper's two heads.
    """
    base = convolution_base(member)
    layers = member.layers[member.layers.index(base) + 1 :]
    kinds = [
        type(layer).__name__ for layer in layers if not isinstance(layer, keras.layers.Dropout)
    ]
    dense = [layer for layer in layers if isinstance(layer, keras.layers.Dense)]
    known = (
        ["Flatten", "Dense", "Dense"],
        ["GlobalAveragePooling2D", "Dense", "BatchNormalization", "ReLU", "Dense"],
    )
    if kinds not in known:
        raise RecipeError(
            f"the head of {member.name} is {' -> '.join(kinds)}, which is none of the paper's",
            REMEDY,
        )
    kernel, bias = (np.asarray(w, np.float64) for w in dense[0].get_weights())
    for norm in (x for x in layers if isinstance(x, keras.layers.BatchNormalization)):
        gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in norm.get_weights())
        gain = gamma / np.sqrt(variance + norm.epsilon)
        kernel, bias = kernel * gain, (bias - mean) * gain + beta
    output = [np.asarray(w, np.float32) for w in dense[1].get_weights()]
    return Classifier(
        name=base.name,
        shape=tuple(base.output.shape[1:]),
        pools=kinds[0] == "GlobalAveragePooling2D",
        hidden_kernel=kernel.astype(np.float32),
        hidden_bias=bias.astype(np.float32),
        output_kernel=output[0],
        output_bias=output[1],
    )


def build_head(
    classifiers: Sequence[Classifier],
    weights: Sequence[float],
    bias: float,
    storage: Storage = "dynamic-int8",
) -> bytes:
    """The head as a .tflite.

    Args:
        classifiers: In the order of the fusion.
        weights: a_i of y = a1 x1 + a2 x2 + a3 x3 + a4 x4 + b, in that order.
        bias: b.
        storage: How the kernels of the hidden layers are kept and multiplied.

    Returns:
        Signatures `classify_<name>`: features (1, rows, cols, channels) float32 -> logit (1, 1),
        probability (1, 1); and `fuse`: probabilities (1, n) float32 -> y (1, 1).
    """
    signatures = {f"classify_{c.name}": _classify(c) for c in classifiers}
    tflite = to_tflite({**signatures, "fuse": _fuse(weights, bias)})
    if storage == "float32":
        return tflite
    dynamic = storage == "dynamic-int8"
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=True, granularity=qtyping.QuantGranularity.CHANNELWISE
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER
        if dynamic
        else qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=not dynamic,
        min_weight_elements=LARGE,
    )
    rules = recipe_manager.RecipeManager()
    rules.add_quantization_config(".*", qtyping.TFLOperationName.CONV_2D, config)
    tool = Quantizer(tflite, rules.get_quantization_recipe())
    result = tool.quantize(enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model or b"")


def _classify(part: Classifier) -> Any:
    # A dense layer over a feature map is a convolution as large as the map. It is written as one
    # because per-channel int8 kernels with float activations are old for convolutions, whereas
    # tflite-runtime computes nonsense from them in a dense layer.
    rows, cols, channels = (1, 1, part.shape[2]) if part.pools else part.shape
    units = len(part.hidden_bias)
    hidden = tf.constant(part.hidden_kernel.reshape(rows, cols, channels, units))
    hidden_bias = tf.constant(part.hidden_bias)
    output, output_bias = tf.constant(part.output_kernel), tf.constant(part.output_bias)

    def classify(features: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = tf.reduce_mean(features, (1, 2), keepdims=True) if part.pools else features
        unit = tf.nn.relu(tf.nn.conv2d(seen, hidden, 1, "VALID") + hidden_bias)
        logit = tf.reshape(unit, (1, units)) @ output + output_bias
        return {"logit": logit, "probability": tf.sigmoid(logit)}

    spec = tf.TensorSpec((1, *part.shape), tf.float32, name="features")
    return tf.function(classify, input_signature=[spec])


def _fuse(weights: Sequence[float], bias: float) -> Any:
    factors = tf.constant([list(weights)], tf.float32)

    def fuse(probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        # A product and a sum, not a dense layer: nothing here may be quantized.
        return {"y": tf.reduce_sum(probabilities * factors, 1, keepdims=True) + bias}

    spec = tf.TensorSpec((1, len(weights)), tf.float32, name="probabilities")
    return tf.function(fuse, input_signature=[spec])
