"""Other ways to run the same members, to compare with: each is what its own documentation says to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.engines import Backbone, Head, choose

KERAS = "keras float32"
FLOAT = "tflite float32"
ONNX = "onnxruntime int8"
OPENVINO = "openvino by hand"
PEERS = {KERAS: "keras", FLOAT: "ai-edge-litert", ONNX: "onnxruntime", OPENVINO: "openvino"}
"""Names, with the distribution that each is an instance of."""


class Scorer(Protocol):
    """A loaded candidate."""

    members: dict[str, Member]

    def load(self, name: str) -> None:
        """Load one member."""

    def fuse(self, probabilities: list[float]) -> float:
        """Y."""

    @property
    def card(self) -> str | None:
        """As of `Engine`."""


class Member(Protocol):
    """One loaded member."""

    def probability(self, pixels: NDArray[np.int8]) -> float:
        """Of pneumonia, from (1, 150, 150, 1) grey levels less 128."""


class HeadMember:
    """A backbone, and the bundle's own classifier after it."""

    def __init__(self, name: str, backbone: Backbone, head: Head) -> None:
        self._name, self._backbone, self._head = name, backbone, head

    def probability(self, pixels: NDArray[np.int8]) -> float:
        return self._head.classify(self._name, self._backbone.features(pixels))[1]


class FloatBackbone:
    """A float .tflite on the interpreter, with XNNPACK, which is its default."""

    def __init__(self, model: Path, mean: int, scale: float, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=str(model), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._mean, self._scale = np.float32(mean - 128), np.float32(scale)

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        normalised = (pixels.astype(np.float32) - self._mean) * self._scale
        self._interpreter.set_tensor(self._input, normalised)
        self._interpreter.invoke()
        features: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return features


def dequantized(
    features: NDArray[Any], scale: np.float32, zero_point: np.float32
) -> NDArray[np.float32]:
    """Features for the head, in the members' own units."""
    return np.asarray((features.astype(np.float32) - zero_point) * scale, np.float32)


class OnnxBackbone:
    """The int8 graph in ONNX's quantize-dequantize form; ONNX Runtime fuses that back to int8 kernels."""

    def __init__(self, model: Path, scale: float, zero_point: int, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Its threads would go on spinning after a call, while the next candidate is measured.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._scale, self._zero_point = np.float32(scale), np.float32(zero_point)

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        (features,) = self._session.run(None, {self._input: pixels})
        return dequantized(features, self._scale, self._zero_point)


class OpenVinoBackbone:
    """OpenVINO reading the .tflite, with no setting but the number of threads."""

    def __init__(self, model: Path, scale: float, zero_point: int, threads: int) -> None:
        import openvino

        core = openvino.Core()
        compiled = core.compile_model(str(model), "CPU", {"INFERENCE_NUM_THREADS": threads})
        self._request = compiled.create_infer_request()
        self._scale, self._zero_point = np.float32(scale), np.float32(zero_point)

    def features(self, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
        features = self._request.infer([pixels])[0]
        return dequantized(features, self._scale, self._zero_point)


class BundleScorer:
    """The bundle on one of pneumo-edge's engines, or its backbones on a peer with the bundle's head.

    Float backbones come from the run, with a head of their own.
    """

    def __init__(self, name: str, bundle: Bundle, exports: Path, threads: int) -> None:
        self._name, self._bundle, self._exports, self._threads = name, bundle, exports, threads
        self._engine = choose("cpu") if name in PEERS else choose(name)  # type: ignore[arg-type]
        head = bundle.manifest.head
        model = bundle.model(head)
        if name == FLOAT:
            from benchmarks.exports import FLOAT_HEAD

            model = exports / FLOAT_HEAD
        self._head = self._engine.head(model, head)
        self.members: dict[str, Member] = {}

    @property
    def card(self) -> str | None:
        return self._engine.card

    def load(self, name: str) -> None:
        self.members[name] = HeadMember(name, self._backbone(name), self._head)

    def fuse(self, probabilities: list[float]) -> float:
        return self._head.fuse(np.array([probabilities], np.float32))

    def _backbone(self, name: str) -> Backbone:
        files = {member.name: member.file for member in self._bundle.manifest.members}
        if self._name not in PEERS:
            return self._engine.backbone(self._bundle.model(files[name]), name, self._threads)
        from benchmarks.exports import normalisation, output_scale

        if self._name == FLOAT:
            mean, scale = normalisation(self._exports, name)
            return FloatBackbone(self._exports / f"{name}.float.tflite", mean, scale, self._threads)
        model = self._exports / f"{name}.int8.tflite"
        step, zero_point = output_scale(model)
        if self._name == OPENVINO:
            return OpenVinoBackbone(model, step, zero_point, self._threads)
        return OnnxBackbone(self._exports / f"{name}.onnx", step, zero_point, self._threads)


class KerasScorer:
    """The float32 Keras members, each by `predict`."""

    card = None

    def __init__(self, bundle: Bundle, run: Path | None, threads: int) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._run = run
        manifest = bundle.manifest
        self._weights = [member.weight for member in manifest.members]
        self._bias = manifest.bias
        self.members: dict[str, Member] = {}

    def load(self, name: str) -> None:
        from benchmarks.exports import keras_member

        self.members[name] = _KerasMember(keras_member(name, self._run))

    def fuse(self, probabilities: list[float]) -> float:
        return float(np.dot(self._weights, probabilities) + self._bias)


class _KerasMember:
    def __init__(self, model: Any) -> None:
        self._model = model

    def probability(self, pixels: NDArray[np.int8]) -> float:
        grey = pixels.astype(np.float32) + 128
        return float(self._model.predict(grey, verbose=0)[0, 0])


def scorer(name: str, bundle: Bundle, exports: Path, run: Path | None, threads: int) -> Scorer:
    """What runs under that name: an engine of pneumo-edge, or one of PEERS."""
    if name == KERAS:
        return KerasScorer(bundle, run, threads)
    return BundleScorer(name, bundle, exports, threads)


def precision(name: str) -> str:
    """Of the weights and activations of a candidate."""
    return "float32" if name in (KERAS, FLOAT) else "int8"


def ordered(votes: Mapping[str, float], bundle: Bundle) -> list[float]:
    """Probabilities in the order of the fusion."""
    return [votes[member.name] for member in bundle.manifest.members]
