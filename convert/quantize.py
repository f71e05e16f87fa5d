"""A float backbone in fewer bits."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, Literal

import numpy as np
from litert_quantizer import qtyping, quantizer, recipe_manager
from litert_quantizer.algorithm_manager import AlgorithmName
from litert_quantizer.qtyping import TFLOperationName
from numpy.typing import NDArray

from convert.export import FloatBackbone
from convert.graph import Graph
from convert.network import CONVOLUTIONS as KERNELS
from convert.network import read_network
from convert.ranges import Range
from convert.reconstruct import Reconstruction, RoundedWeights

Scheme = Literal["int8", "dynamic", "int16", "float16"]

SCHEMES: dict[Scheme, str] = {
    "int8": "static-int8",
    "dynamic": "dynamic-int8",
    "int16": "static-int16",
    "float16": "float16",
}
"""What a manifest calls them. int8: weights int8 per output channel, biases int32, activations int8 with a
zero point. dynamic: the same weights, activations in float and rounded as they come. int16: the same
weights, activations in 16 bits. float16: weights in half precision, computed with in float."""

CONVOLUTIONS = (TFLOperationName.CONV_2D, TFLOperationName.DEPTHWISE_CONV_2D)

HALF = qtyping.OpQuantizationConfig(
    weight_tensor_config=qtyping.TensorQuantizationConfig(
        num_bits=16, dtype=qtyping.TensorDataType.FLOAT
    ),
    compute_precision=qtyping.ComputePrecision.FLOAT,
    explicit_dequantize=True,
)


@contextmanager
def quietly() -> Iterator[None]:
    """Without the quantizer's own bar, which no option hides, and its interpreter's warning."""
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors", UserWarning)
        yield


def quantize(backbone: FloatBackbone, fitted: Reconstruction, kept: Sequence[str] = ()) -> bytes:
    """A static int8 .tflite with the weights, biases and ranges that were fitted.

    Args:
        backbone: The one that `fitted` was made for; not modified.
        fitted: Weights for every convolution but those that make one of `kept`.
        kept: Names of the tensors whose layers stay in float.

    Returns:
        Input int8 (1, 150, 150, 1), which is the grey level minus 128; output int8 features, or float
        ones where the last layer stays in float.
    """
    graph = Graph(bytearray(_run_quantizer(backbone, "int8", fitted.ranges, kept)))
    convolutions = [op for op in graph.operators if graph.kind(op) in KERNELS]
    layers = [layer for layer in read_network(backbone.tflite).layers if layer.convolves]
    for layer, operator in zip(layers, convolutions, strict=True):
        if layer.at in fitted.weights:
            _write(graph, operator, fitted.weights[layer.at])
    return bytes(graph.content)


def quantize_plainly(backbone: FloatBackbone, scheme: Scheme, ranges: Mapping[int, Range]) -> bytes:
    """A .tflite by another scheme, as the quantizer leaves it.

    Args:
        backbone: Not modified.
        scheme: See SCHEMES.
        ranges: By tensor: the input's, and for int16 every other one's.

    Returns:
        Input as `quantize` has it; output float features.
    """
    return _run_quantizer(backbone, scheme, ranges, ())


def _run_quantizer(
    backbone: FloatBackbone, scheme: Scheme, ranges: Mapping[int, Range], kept: Sequence[str]
) -> bytes:
    names = read_network(backbone.tflite).names
    limits = {
        names[tensor]: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        for tensor, (low, high) in ranges.items()
    }
    tool = quantizer.Quantizer(backbone.tflite, _rules(scheme, kept))
    with quietly():
        result = tool.quantize(limits, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model or b"")


def _rules(scheme: Scheme, kept: Sequence[str]) -> Any:
    rules = recipe_manager.RecipeManager()
    everything = TFLOperationName.ALL_SUPPORTED
    if scheme in ("int8", "int16"):
        rules.add_static_config(".*", everything, 8 if scheme == "int8" else 16, 8)
    for kind in CONVOLUTIONS:
        if scheme == "dynamic":
            rules.add_dynamic_config(".*", kind, 8)
        if scheme == "float16":
            rules.add_quantization_config(".*", kind, HALF, AlgorithmName.FLOAT_CASTING)
    for name in kept:
        rules.add_quantization_config(
            f"^{re.escape(name)};$", everything, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    # Whatever lies within, the runtime hands over int8, and takes int8 or float features.
    rules.add_static_config(".*", TFLOperationName.INPUT, 8, 8)
    if scheme == "int16":
        rules.add_quantization_config(
            ".*", TFLOperationName.OUTPUT, algorithm_key=AlgorithmName.NO_QUANTIZE
        )
    return rules.get_quantization_recipe()


def _write(graph: Graph, operator: Any, weights: RoundedWeights) -> None:
    """Put a convolution's weights in the place of those that the quantizer rounded."""
    given, kernel, bias = (graph.tensors[i] for i in operator.inputs[:3])
    graph.values(operator.inputs[1], np.int8)[:] = weights.levels
    kernel.quantization.scale[:] = weights.steps
    steps = np.asarray(given.quantization.scale, np.float32) * weights.steps
    bias.quantization.scale[:] = steps
    bounds = np.iinfo(np.int32)
    levels: NDArray[np.int32] = graph.values(operator.inputs[2], np.int32)
    levels[:] = np.rint(weights.bias / steps.astype(np.float64)).clip(bounds.min, bounds.max)
