"""The engine of OpenVINO, on the processor; it reads the bundle's own .tflite files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge import tflite_file
from pneumo_edge.errors import EngineError
from pneumo_edge.interpreter_engine import Contract, litert


class OpenVinoEngine:
    """Members in OpenVINO, the head in LiteRT, whose signatures OpenVINO has no notion of."""

    name = "openvino"
    card = None

    def __init__(self) -> None:
        import openvino

        self._core: Any = openvino.Core()
        self._litert = litert()
        self.head = self._litert.head

    def backbone(self, model: Path | bytes, label: str, threads: int) -> _Backbone:
        """Load one member.

        Raises:
            BundleError: it is no such model.
            EngineError: OpenVINO cannot read it.
        """
        contract = self._litert.contract(model, label)
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # Members run side by side would all be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
            # What was left in float stays so where the processor has bfloat16.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            compiled = self._core.compile_model(self._read(model), "CPU", options)
        except RuntimeError as err:
            raise EngineError(_reason(label, err), "use --engine cpu") from None
        return _Backbone(compiled.create_infer_request(), contract, label)

    def _read(self, model: Path | bytes) -> Any:
        data = model if isinstance(model, bytes) else model.read_bytes()
        outside = tflite_file.has_outside_weights(data)
        if isinstance(model, Path) and not outside:
            return self._core.read_model(str(model))
        # It takes a .tflite from a file only, and may hold it open on Windows.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "member.tflite"
            path.write_bytes(tflite_file.inlined(data) if outside else data)
            return self._core.read_model(str(path))


class _Backbone:
    """int8 in, int8 features out."""

    def __init__(self, request: Any, contract: Contract, label: str) -> None:
        self._request = request
        self._contract = contract
        self._label = label

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        try:
            features = self._request.infer([pixels])[0]
        except RuntimeError as err:
            raise EngineError(_reason(self._label, err), "use --engine cpu") from None
        return self._contract.dequantize(features)


def _reason(label: str, err: RuntimeError) -> str:
    """The last line that says something: the first ones are places in OpenVINO's source."""
    lines = [line for line in str(err).splitlines() if line.strip() and ".cpp:" not in line]
    return f"the engine openvino failed on {label} ({(lines or ['no reason given'])[-1].strip()})"
