"""Static int8 quantization of a float backbone."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import quantizer, recipe
from numpy.typing import NDArray

from convert.bias import correct_biases
from convert.export import FloatBackbone
from convert.graph import Graph

SCHEME = "static-int8"
"""Weights int8 per output channel, biases int32, activations int8 with a zero point."""


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """The values that one tensor of the float graph took."""

    low: NDArray[np.float32]
    """(n,): the smallest value in each film."""

    high: NDArray[np.float32]
    """(n,): the largest value in each film."""

    mean: NDArray[np.float32]
    """The tensor's own shape: its mean over the films."""


@contextmanager
def _all_tensors_kept() -> Iterator[None]:
    """Without the interpreter's warning that keeping all tensors takes memory: here it is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*experimental_preserve_all_tensors", UserWarning)
        yield


def calibrate(
    backbone: FloatBackbone,
    pixels: NDArray[np.uint8],
    threads: int = 2,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Activation]:
    """Run the float graph on representative films and note every activation's range.

    Args:
        backbone: Not modified.
        pixels: (n, 150, 150, 1) prepared tensors.
        threads: Of the interpreter.
        progress: Called with 1 after every film.

    Returns:
        By tensor name. The input has its whole possible range, [-mean, 255 - mean] * scale, so that
        its quantization is exactly the normalisation.
    """
    with _all_tensors_kept():
        runner = Interpreter(
            model_content=backbone.tflite,
            num_threads=threads,
            experimental_preserve_all_tensors=True,
        )
    runner.allocate_tensors()
    given = runner.get_input_details()[0]
    tensors = Graph(bytearray(backbone.tflite)).activations()
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in tensors.values()}
    sums: dict[str, NDArray[np.float64]] = {name: np.zeros(()) for name in tensors.values()}
    for film in pixels:
        grey = film[None].astype(np.float32)
        runner.set_tensor(given["index"], backbone.scale * (grey - backbone.mean))
        runner.invoke()
        for index, name in tensors.items():
            values = runner.get_tensor(index)
            seen[name].append((float(values.min()), float(values.max())))
            sums[name] = sums[name] + values
        if progress is not None:
            progress(1)
    seen[given["name"]] = [
        (-backbone.scale * backbone.mean, backbone.scale * (255 - backbone.mean))
    ]
    return {
        name: Activation(
            low=np.array([low for low, _ in pairs], np.float32),
            high=np.array([high for _, high in pairs], np.float32),
            mean=(sums[name] / len(pixels)).astype(np.float32),
        )
        for name, pairs in seen.items()
    }


def quantize(backbone: FloatBackbone, activations: Mapping[str, Activation]) -> bytes:
    """A static int8 .tflite with corrected biases.

    Args:
        backbone: Not modified.
        activations: From `calibrate`; each is clipped to the widest range that any film showed.

    Returns:
        Input int8 (1, 150, 150, 1), which is the grey level minus 128; output int8 features.
    """
    ranges = {
        name: {"min": seen.low.min(keepdims=True), "max": seen.high.max(keepdims=True)}
        for name, seen in activations.items()
    }
    tool = quantizer.Quantizer(backbone.tflite, recipe.static_wi8_ai8())
    # Its own bar, which no option hides, would stand among ours.
    with _all_tensors_kept(), redirect_stderr(io.StringIO()):
        result = tool.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    means = {name: seen.mean for name, seen in activations.items()}
    return correct_biases(backbone.tflite, bytes(result.quantized_model or b""), means)
