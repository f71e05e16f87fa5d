"""The engine on the graphics card: LiteRT's WebGPU accelerator, over Vulkan, Metal or Direct3D 12."""

from __future__ import annotations

import atexit
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge import native_stderr, tflite_file
from pneumo_edge.errors import EngineError
from pneumo_edge.interpreter_engine import Contract, litert
from pneumo_edge.types import SIDE

_REMEDY = "update the graphics driver, or use --engine cpu"


class GpuEngine:
    """Members on the graphics card, the head on the processor, where its few operations cost less."""

    name = "gpu"

    def __init__(self) -> None:
        from ai_edge_litert import compiled_model, options

        self._api: Any = compiled_model
        # Left to itself it adds in float16 where the card can, which moves y and is no faster.
        self._options = options.Options(
            compiled_model.HardwareAccelerator.GPU,
            gpu_options=options.GpuOptions(enforce_f32=True),
        )
        self._environment: Any = None
        self._processor = litert()
        self.head = self._processor.head
        self._backbones: list[_Backbone] = []
        self.card: str | None = None
        """What the driver calls the graphics card, as soon as a member is loaded; it may be one in software."""
        atexit.register(self._close)

    def backbone(self, model: Path | bytes, label: str, threads: int) -> _Backbone:  # noqa: ARG002
        """Load one member; the card needs none of the processor's threads.

        Raises:
            BundleError: it is no such model.
            EngineError: there is no graphics card that takes the whole of it.
        """
        contract = self._processor.contract(model, label)
        data = model if isinstance(model, bytes) else model.read_bytes()
        data = tflite_file.pooled_strides(data)
        with native_stderr.silenced() as complaint:
            try:
                compiled = self._compile(data)
            except (RuntimeError, ValueError) as err:
                raise EngineError(*_failure(label, err, complaint())) from None
            self.card = self.card or _selected(complaint())
        if not compiled.is_fully_accelerated():
            raise EngineError(f"the engine gpu takes only a part of {label}", "use --engine cpu")
        backbone = _Backbone(compiled, contract, label)
        self._backbones.append(backbone)
        return backbone

    def _compile(self, data: bytes) -> Any:
        api = self._api
        # Vulkan's loader for Wayland complains without one, and some drivers give up.
        if os.name == "posix":
            os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
        if self._environment is None:
            folder = str(Path(api.__file__).parent)
            self._environment = api.Environment.create(
                options=api.EnvironmentOptions(runtime_path=folder)
            )
        return api.CompiledModel.from_buffer(
            data, environment=self._environment, options=self._options
        )

    def _close(self) -> None:
        """Let go of the card before Python ends: LiteRT says so on standard error."""
        with native_stderr.silenced():
            for backbone in self._backbones:
                backbone.close()
            if self._environment is not None:
                self._environment.close()
        # What is left says so when the C++ library is unloaded, after the last line of Python.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)


class _Backbone:
    """int8 in, int8 features out, through buffers that the card shares."""

    def __init__(self, compiled: Any, contract: Contract, label: str) -> None:
        self._compiled = compiled
        self._contract = contract
        self._label = label
        with native_stderr.silenced():
            self._inputs = compiled.create_input_buffers(0)
            self._outputs = compiled.create_output_buffers(0)
            # The first access makes LiteRT set up a second environment.
            self._inputs[0].write(np.zeros((1, SIDE, SIDE, 1), np.int8))

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        shape = self._contract.shape
        dtype = np.int8 if self._contract.quantized else np.float32
        try:
            self._inputs[0].write(np.ascontiguousarray(pixels))
            self._compiled.run_by_index(0, self._inputs, self._outputs)
            features = self._outputs[0].read(int(np.prod(shape)), dtype)
        except (RuntimeError, ValueError) as err:
            raise EngineError(*_failure(self._label, err, "")) from None
        return self._contract.dequantize(features.reshape(shape))

    def close(self) -> None:
        for buffer in (*self._inputs, *self._outputs):
            buffer.destroy()
        self._compiled.close()


def _selected(log: str) -> str | None:
    """The card that LiteRT took: nothing but its log tells."""
    found = re.search(r"Selected adapter: (.+?), arch=", log)
    return found[1] if found else None


def _failure(label: str, err: Exception, complaint: str) -> tuple[str, str]:
    """What and remedy; the reason stands in what the libraries printed, and not in the exception."""
    if "No adapters found" in complaint:
        return (
            "the engine gpu finds no graphics card with a Vulkan, Metal or Direct3D 12 driver",
            "install the card's driver (on Linux its Vulkan ICD and libvulkan1), or use --engine cpu",
        )
    lines = [line for line in str(err).splitlines() if "[" not in line] or str(err).splitlines()
    reason = " ".join(lines[:1]).strip() or type(err).__name__
    return f"the engine gpu failed on {label} ({reason})", _REMEDY
