"""Inference engines behind one protocol; each runs the same bundle."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pneumo_edge import native_stderr
from pneumo_edge.errors import BundleError, EngineError, MissingExtraError
from pneumo_edge.types import SIDE

EngineName = Literal["auto", "cpu", "tflite-runtime"]

_REPACK = "pack the bundle again with pneumo-edge convert"


class Backbone(Protocol):
    """One member's convolution base. Not thread-safe."""

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        """The last feature map, (1, rows, cols, channels), of (1, 150, 150, 1) pixels."""


class Head(Protocol):
    """The classifiers of all members, with the fusion. Not thread-safe."""

    def classify(self, member: str, features: NDArray[np.float32]) -> tuple[float, float]:
        """(logit, probability) of pneumonia."""

    def fuse(self, probabilities: NDArray[np.float32]) -> float:
        """Y, from (1, members) probabilities in the manifest's order."""


class Engine(Protocol):
    """Loads models, from a path or from bytes."""

    @property
    def name(self) -> str:
        """As in --engine."""

    def backbone(self, model: Path | bytes, label: str, threads: int) -> Backbone:
        """Load one member's convolution base; `label` names it in messages."""

    def head(self, model: Path | bytes, label: str) -> Head:
        """Load the head."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine that may be installed or not."""

    name: EngineName
    module: str
    """Where its Interpreter lives."""
    distribution: str
    remedy: str
    """How to get it."""

    def installed(self) -> bool:
        """Whether it can be imported, without doing so."""
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None

    def version(self) -> str | None:
        """The installed version, None where it is absent."""
        if not self.installed():
            return None
        from importlib import metadata  # costs what a twentieth of a verdict may take

        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "unknown"


KINDS = (
    EngineKind("cpu", "ai_edge_litert.interpreter", "ai-edge-litert", "pip install ai-edge-litert"),
    EngineKind(
        "tflite-runtime",
        "tflite_runtime.interpreter",
        "tflite-runtime",
        "pip install 'pneumo-edge[tflite-runtime]' (Python 3.11 or older)",
    ),
)
"""In the order in which `auto` looks for them."""


def choose(name: EngineName) -> Engine:
    """Import the engine of that name; `auto` takes the first that is installed.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it is installed and cannot be imported.
    """
    for kind in KINDS:
        if name == kind.name or (name == "auto" and kind.installed()):
            return _import(kind)
    raise MissingExtraError("no inference engine is installed", f"run: {KINDS[0].remedy}")


def _import(kind: EngineKind) -> Engine:
    if not kind.installed():
        raise MissingExtraError(f"the engine {kind.name} is not installed", f"run: {kind.remedy}")
    try:
        interpreter = importlib.import_module(kind.module).Interpreter
    except Exception as err:  # a wheel for another numpy or C library raises anything
        reason = str(err).partition("\n")[0]
        raise EngineError(
            f"the engine {kind.name} cannot be imported ({reason})", f"reinstall it: {kind.remedy}"
        ) from err
    return _InterpreterEngine(kind.name, interpreter)


@dataclass(frozen=True, slots=True)
class _InterpreterEngine:
    """Any package with the Interpreter class of TensorFlow Lite; XNNPACK is its default delegate."""

    name: str
    interpreter: Any

    def backbone(self, model: Path | bytes, label: str, threads: int) -> Backbone:
        return _Backbone(self._load(model, label, threads), label)

    def head(self, model: Path | bytes, label: str) -> Head:
        # The first model that is loaded makes LiteRT announce its delegate.
        with native_stderr.captured():
            return _Head(self._load(model, label, 1), label)

    def _load(self, model: Path | bytes, label: str, threads: int) -> Any:
        source = (
            {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        )
        try:
            interpreter = self.interpreter(num_threads=threads, **source)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as err:
            reason = str(err).partition("\n")[0]
            raise BundleError(f"{label} is no model for {self.name} ({reason})", _REPACK) from None
        return interpreter


class _Backbone:
    """int8 in, int8 features out, dequantized for the head."""

    def __init__(self, interpreter: Any, label: str) -> None:
        (source, *more), (target, *others) = (
            interpreter.get_input_details(),
            interpreter.get_output_details(),
        )
        shape = tuple(int(side) for side in source["shape"])
        if more or others or shape != (1, SIDE, SIDE, 1) or source["dtype"] != np.int8:
            raise BundleError(
                f"{label} takes {np.dtype(source['dtype'])} {shape},"
                f" not int8 (1, {SIDE}, {SIDE}, 1)",
                _REPACK,
            )
        self._interpreter = interpreter
        self._input: int = source["index"]
        self._output: int = target["index"]
        scale, zero_point = target["quantization"]
        self._scale = np.float32(scale)
        self._zero_point = np.float32(zero_point)
        self._quantized: bool = target["dtype"] == np.int8

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        features: NDArray[Any] = self._interpreter.get_tensor(self._output)
        if self._quantized:  # a member may be left in float where int8 would lose too much
            return (features.astype(np.float32) - self._zero_point) * self._scale
        return features.astype(np.float32, copy=False)


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

    def _run(self, signature: str, **tensors: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        if signature not in self._known:
            raise BundleError(f"{self._label} has no signature {signature}", _REPACK)
        if signature not in self._runners:
            self._runners[signature] = self._interpreter.get_signature_runner(signature)
        try:
            result: dict[str, NDArray[Any]] = self._runners[signature](**tensors)
        except (ValueError, RuntimeError) as err:
            reason = str(err).partition("\n")[0]
            raise BundleError(f"{self._label}: {signature} failed ({reason})", _REPACK) from None
        return result
