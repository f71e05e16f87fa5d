"""The engines that have the Interpreter class of TensorFlow Lite: ai-edge-litert and tflite-runtime."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge import native_stderr
from pneumo_edge.errors import BundleError
from pneumo_edge.types import SIDE

REPACK = "pack the bundle again with pneumo-edge convert"


@dataclass(frozen=True, slots=True)
class Contract:
    """What a backbone takes and what its answer means."""

    source: int
    """The input tensor, int8 (1, 150, 150, 1)."""
    target: int
    """The output tensor."""
    shape: tuple[int, ...]
    """(1, rows, cols, channels) of the features."""
    quantized: bool
    """Whether the features are int8; a member may be left in float where int8 would lose too much."""
    scale: float
    zero_point: int

    def dequantize(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Features for the head, in the members' own units."""
        if not self.quantized:
            return features.astype(np.float32, copy=False)
        return (features.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


def read_contract(interpreter: Any, label: str) -> Contract:
    """Check a backbone's tensors; the interpreter needs no tensors allocated for it.

    Raises:
        BundleError: it does not take what the runtime has.
    """
    (source, *more), (target, *others) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    shape = tuple(int(side) for side in source["shape"])
    if more or others or shape != (1, SIDE, SIDE, 1) or source["dtype"] != np.int8:
        raise BundleError(
            f"{label} takes {np.dtype(source['dtype'])} {shape}, not int8 (1, {SIDE}, {SIDE}, 1)",
            REPACK,
        )
    scale, zero_point = target["quantization"]
    out = tuple(int(side) for side in target["shape"])
    quantized = target["dtype"] == np.int8
    return Contract(source["index"], target["index"], out, quantized, scale, zero_point)


def litert() -> InterpreterEngine:
    """The engine cpu, which runs the head of every other one from ai-edge-litert or OpenVINO."""
    return InterpreterEngine("cpu", importlib.import_module("ai_edge_litert.interpreter"))


class InterpreterEngine:
    """One of the packages; XNNPACK is its default delegate."""

    card = None

    def __init__(self, name: str, module: Any) -> None:
        self.name = name
        self._interpreter: Any = module.Interpreter

    def backbone(self, model: Path | bytes, label: str, threads: int) -> _Backbone:
        interpreter = self._load(model, label, threads)
        return _Backbone(interpreter, read_contract(interpreter, label))

    def head(self, model: Path | bytes, label: str) -> _Head:
        # The first model that is loaded makes LiteRT announce its delegate.
        with native_stderr.captured():
            return _Head(self._load(model, label, 1), label)

    def contract(self, model: Path | bytes, label: str) -> Contract:
        """A backbone's tensors, without loading its weights: for an engine that does not tell.

        Raises:
            BundleError: it is no such backbone.
        """
        return read_contract(self._open(model, label, 1), label)

    def _load(self, model: Path | bytes, label: str, threads: int) -> Any:
        interpreter = self._open(model, label, threads)
        try:
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as err:
            raise self._no_model(label, err) from None
        return interpreter

    def _open(self, model: Path | bytes, label: str, threads: int) -> Any:
        source = (
            {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        )
        try:
            return self._interpreter(num_threads=threads, **source)
        except (ValueError, RuntimeError) as err:
            raise self._no_model(label, err) from None

    def _no_model(self, label: str, err: Exception) -> BundleError:
        reason = str(err).partition("\n")[0]
        return BundleError(f"{label} is no model for {self.name} ({reason})", REPACK)


class _Backbone:
    """int8 in, int8 features out, dequantized for the head."""

    def __init__(self, interpreter: Any, contract: Contract) -> None:
        self._interpreter = interpreter
        self._contract = contract

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._contract.source, pixels)
        self._interpreter.invoke()
        return self._contract.dequantize(self._interpreter.get_tensor(self._contract.target))


class _Head:
    """Signature runners, made when they are first asked for."""

    def __init__(self, interpreter: Any, label: str) -> None:
        self._interpreter = interpreter
        self._label = label
        self._known = frozenset(interpreter.get_signature_list())
        self._runners: dict[str, Any] = {}

    def classify(self, member: str, features: NDArray[np.float32]) -> tuple[float, float]:
        out = self._run(f"classify_{member}", features=features)
        return float(out["logit"].item()), float(out["probability"].item())

    def fuse(self, probabilities: NDArray[np.float32]) -> float:
        return float(self._run("fuse", probabilities=probabilities)["y"].item())

    def explains(self, member: str) -> bool:
        return f"explain_{member}" in self._known

    def explain(self, member: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._run(f"explain_{member}", features=features)["map"][0]
        return found

    def _run(self, signature: str, **tensors: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        if signature not in self._known:
            raise BundleError(f"{self._label} has no signature {signature}", REPACK)
        if signature not in self._runners:
            self._runners[signature] = self._interpreter.get_signature_runner(signature)
        try:
            result: dict[str, NDArray[Any]] = self._runners[signature](**tensors)
        except (ValueError, RuntimeError) as err:
            reason = str(err).partition("\n")[0]
            raise BundleError(f"{self._label}: {signature} failed ({reason})", REPACK) from None
        return result
