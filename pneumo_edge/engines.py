"""Inference engines behind one protocol; each runs the same bundle."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pneumo_edge.errors import EngineError, MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EngineName = Literal["auto", "cpu", "gpu", "tflite-runtime", "openvino"]


class Backbone(Protocol):
    """One member's convolution base. Not thread-safe."""

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        """The last feature map, (1, rows, cols, channels), of (1, 150, 150, 1) pixels.

        Raises:
            EngineError: the engine failed, as a graphics card may at any time.
        """


class Head(Protocol):
    """The classifiers of all members, with the fusion. Not thread-safe."""

    def classify(self, member: str, features: NDArray[np.float32]) -> tuple[float, float]:
        """(logit, probability) of pneumonia."""

    def fuse(self, probabilities: NDArray[np.float32]) -> float:
        """Y, from (1, members) probabilities in the manifest's order."""

    def explains(self, member: str) -> bool:
        """Whether `explain` can be asked of that member: a head of an older bundle may lack it."""

    def explain(self, member: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """What each position adds to the logit, (rows, cols): HiResCAM, as `convert` built it in."""


class Engine(Protocol):
    """Loads models, from a path or from bytes."""

    @property
    def name(self) -> str:
        """As in --engine."""

    @property
    def card(self) -> str | None:
        """What the graphics card is called that runs the members, once one is loaded; None on a processor."""

    def backbone(self, model: Path | bytes, label: str, threads: int) -> Backbone:
        """Load one member's convolution base; `label` names it in messages.

        Raises:
            BundleError: it is no such model.
            EngineError: this engine cannot run it here.
        """

    def head(self, model: Path | bytes, label: str) -> Head:
        """Load the head."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine that may be installed or not."""

    name: EngineName
    module: str
    """What has to be importable; its top-level package is what is installed."""
    distribution: str
    remedy: str
    """How to get it."""
    make: Callable[[], Engine]
    """Imports it; raises whatever a broken installation raises."""
    parts: tuple[str, ...] = ()
    """Files that the package has to hold, as patterns; empty where any build will do."""

    def installed(self) -> bool:
        """Whether it can be imported, without doing so."""
        package = _package(self.module)
        return package is not None and all(any(package.glob(part)) for part in self.parts)

    def version(self) -> str | None:
        """The installed version, None where it is absent.

        It is read off the name of the folder that pip leaves beside the package: importlib.metadata
        costs what a twentieth of a verdict may take.
        """
        package = _package(self.module)
        if package is None or not self.installed():
            return None
        stem = self.distribution.replace("-", "_")
        for info in package.parent.glob(f"{stem}-*.*-info"):
            return info.stem.removeprefix(f"{stem}-")
        return "unknown"


def _package(module: str) -> Path | None:
    spec = importlib.util.find_spec(module.partition(".")[0])
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _litert() -> Engine:
    from pneumo_edge.interpreter_engine import litert

    return litert()


def _tflite_runtime() -> Engine:
    from pneumo_edge.interpreter_engine import InterpreterEngine

    module = importlib.import_module("tflite_runtime.interpreter")
    return InterpreterEngine("tflite-runtime", module)


def _gpu() -> Engine:
    from pneumo_edge.gpu_engine import GpuEngine

    return GpuEngine()


def _openvino() -> Engine:
    from pneumo_edge.openvino_engine import OpenVinoEngine

    return OpenVinoEngine()


KINDS = (
    EngineKind(
        "cpu",
        "ai_edge_litert.interpreter",
        "ai-edge-litert",
        "pip install ai-edge-litert",
        _litert,
    ),
    EngineKind(
        "tflite-runtime",
        "tflite_runtime.interpreter",
        "tflite-runtime",
        "pip install 'pneumo-edge[tflite-runtime]' (Python 3.11 or older)",
        _tflite_runtime,
    ),
    EngineKind(
        "openvino",
        "openvino",
        "openvino",
        "pip install 'pneumo-edge[openvino]'",
        _openvino,
    ),
    EngineKind(
        "gpu",
        "ai_edge_litert.compiled_model",
        "ai-edge-litert",
        "pip install 'ai-edge-litert>=2.1.5', whose wheels for 64-bit x86 and Arm bring the WebGPU accelerator",
        _gpu,
        parts=("*WebGpuAccelerator*", "gpu_options.py"),
    ),
)
"""In the order in which `auto` looks for them where nothing was measured; it then never takes the last."""


def kind(name: EngineName) -> EngineKind:
    """The engine of that name; for `auto`, the first that is installed.

    Raises:
        MissingExtraError: none is installed.
    """
    for candidate in KINDS:
        if name == candidate.name:
            return candidate
        if name == "auto" and candidate.name != "gpu" and candidate.installed():
            return candidate
    raise MissingExtraError("no inference engine is installed", f"run: {KINDS[0].remedy}")


def choose(name: EngineName) -> Engine:
    """Import the engine of that name; `auto` takes the first that is installed.

    Raises:
        MissingExtraError: it is not installed.
        EngineError: it is installed and cannot be imported.
    """
    chosen = kind(name)
    if not chosen.installed():
        raise MissingExtraError(
            f"the engine {chosen.name} is not installed", f"run: {chosen.remedy}"
        )
    try:
        return chosen.make()
    except Exception as err:  # a wheel for another numpy or C library raises anything
        reason = str(err).partition("\n")[0]
        raise EngineError(
            f"the engine {chosen.name} cannot be imported ({reason})",
            f"reinstall it: {chosen.remedy}",
        ) from err
