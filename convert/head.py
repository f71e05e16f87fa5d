"""The head: the members' classifiers and the linear fusion in one small .tflite."""

from __future__ import annotations

import dataclasses
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
from convert.quantize import quietly
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


def rescale(part: Classifier, gains: NDArray[np.float32]) -> Classifier:
    """The same classifier for features whose channels were divided by `gains`, (channels,)."""
    positions = 1 if part.pools else part.shape[0] * part.shape[1]
    kernel = part.hidden_kernel * np.tile(gains, positions)[:, None]
    return dataclasses.replace(part, hidden_kernel=kernel.astype(np.float32))


def logits(part: Classifier, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,): what the classifier says of (n, rows, cols, channels) features, in double precision."""
    given = features.astype(np.float64)
    seen = given.mean((1, 2)) if part.pools else given.reshape(len(given), -1)
    unit = np.maximum(seen @ part.hidden_kernel + part.hidden_bias, 0)
    return np.asarray(unit @ part.output_kernel[:, 0] + part.output_bias[0])


def line(
    made: NDArray[np.float64],
    exact: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> tuple[float, float] | None:
    """(s, t) such that s * made + t is off by the least (weighted) square; None where `made` does not vary."""
    middle = np.average(made, weights=weights), np.average(exact, weights=weights)
    spread = np.average((made - middle[0]) ** 2, weights=weights)
    if not spread > 0:
        return None
    joint = np.average((made - middle[0]) * (exact - middle[1]), weights=weights)
    slope = float(joint / spread)
    return slope, float(middle[1] - slope * middle[0])


def correct_logit(
    part: Classifier, made: NDArray[np.float64], exact: NDArray[np.float64]
) -> Classifier:
    """A classifier whose logit is s * logit + t, such that quantization's drift is taken back.

    Args:
        part: Not modified.
        made: (n,) logits of representative films by the quantized backbone.
        exact: (n,) those in full precision.

    Returns:
        With the s and t of least squared error, where an error counts as much as it moves the
        probability; the films' labels have no part in it. Unchanged where the logits do not vary.
    """
    steep = np.exp(-np.abs(exact)) / (1 + np.exp(-np.abs(exact))) ** 2
    found = line(made, exact, steep)
    if found is None:
        return part
    slope, shift = found
    return dataclasses.replace(
        part,
        output_kernel=(part.output_kernel * slope).astype(np.float32),
        output_bias=(part.output_bias * slope + shift).astype(np.float32),
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
        probability (1, 1); `explain_<name>`: the same features -> map (1, rows, cols), see `_explain`;
        and `fuse`: probabilities (1, n) float32 -> y (1, 1).
    """
    signatures = {"fuse": _fuse(weights, bias)}
    for part in classifiers:
        constants = _constants(part)
        signatures[f"classify_{part.name}"] = _classify(part, constants)
        signatures[f"explain_{part.name}"] = _explain(part, constants)
    tflite = to_tflite(signatures)
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
    with quietly():
        result = tool.quantize(enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model or b"")


@dataclass(frozen=True, slots=True, eq=False)
class _Constants:
    """A classifier's weights as TensorFlow's, made once, so that two signatures share them."""

    hidden: Any
    """(rows, cols, channels, units), or (1, 1, channels, units) if the map is pooled."""
    hidden_bias: Any
    output: Any
    output_bias: Any


def _constants(part: Classifier) -> _Constants:
    # A dense layer over a feature map is a convolution as large as the map. It is written as one
    # because per-channel int8 kernels with float activations are old for convolutions, whereas
    # tflite-runtime computes nonsense from them in a dense layer.
    rows, cols, channels = (1, 1, part.shape[2]) if part.pools else part.shape
    kernel = part.hidden_kernel.reshape(rows, cols, channels, len(part.hidden_bias))
    others = (part.hidden_bias, part.output_kernel, part.output_bias)
    return _Constants(tf.constant(kernel), *(tf.constant(value) for value in others))


def _classify(part: Classifier, w: _Constants) -> Any:
    units = len(part.hidden_bias)

    def classify(features: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = tf.reduce_mean(features, (1, 2), keepdims=True) if part.pools else features
        unit = tf.nn.relu(tf.nn.conv2d(seen, w.hidden, 1, "VALID") + w.hidden_bias)
        logit = tf.reshape(unit, (1, units)) @ w.output + w.output_bias
        return {"logit": logit, "probability": tf.sigmoid(logit)}

    spec = tf.TensorSpec((1, *part.shape), tf.float32, name="features")
    return tf.function(classify, input_signature=[spec])


def _explain(part: Classifier, w: _Constants) -> Any:
    """HiResCAM: at each position, the sum over channels of d(logit)/d(feature) times the feature.

    Through a ReLU layer the logit is linear in the features, unit by unit: what a position adds to the
    units that are active, times their output weights, is that sum. So the map needs the same
    convolution as the logit, of each position on its own, and no kernel's transpose beside it.

    Source: R. L. Draelos and L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations",
    2020, section 3.
    """
    rows, cols, _ = part.shape
    count, units = rows * cols, len(part.hidden_bias)
    share = 1 / count if part.pools else 1.0
    alone = tf.reshape(tf.eye(count), (count, rows, cols, 1))

    def explain(features: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = features if part.pools else features * alone
        added = tf.reshape(tf.nn.conv2d(seen, w.hidden, 1, "VALID"), (count, units))
        # Not the features nor what is added is divided: the converter would fold that into a kernel
        # of its own.
        active = tf.reduce_sum(added, 0, keepdims=True) * share + w.hidden_bias > 0
        slope = tf.cast(active, tf.float32) * tf.reshape(w.output * share, (1, units))
        return {"map": tf.reshape(tf.reduce_sum(added * slope, 1), (1, rows, cols))}

    spec = tf.TensorSpec((1, *part.shape), tf.float32, name="features")
    return tf.function(explain, input_signature=[spec])


def _fuse(weights: Sequence[float], bias: float) -> Any:
    factors = tf.constant([list(weights)], tf.float32)

    def fuse(probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        # A product and a sum, not a dense layer: nothing here may be quantized.
        return {"y": tf.reduce_sum(probabilities * factors, 1, keepdims=True) + bias}

    spec = tf.TensorSpec((1, len(weights)), tf.float32, name="probabilities")
    return tf.function(fuse, input_signature=[spec])
