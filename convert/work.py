"""How much arithmetic and how many bytes one film costs, counted in the members' own .tflite files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1}
"""Of one element, by TensorType of schema.fbs: float32, float16, int32, uint8, int64, bool, int16, int8."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One operator of a graph."""

    kind: str
    """As schema.fbs names it."""
    macs: int
    """Multiply-accumulates."""
    weight_bytes: int
    """Constants that it reads, biases included."""
    activation_bytes: int
    """What it reads and writes besides."""
    values: int
    """Numbers in all of these: each has four bytes on a device that computes in float32."""


@dataclass(frozen=True, slots=True)
class Work:
    """A member: its backbone, then its classifier in the head."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one film."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Constants that one film reads."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def activation_bytes(self) -> int:
        """What the layers hand on, each written once and read by whoever needs it."""
        return sum(layer.activation_bytes for layer in self.layers)


def count(backbones: Mapping[str, bytes], head: bytes) -> list[Work]:
    """The work of every member.

    Args:
        backbones: The `.tflite` of each member, by its name.
        head: The head, with `classify_<member>` for each.

    Returns:
        In the order of `backbones`.
    """
    classifiers = _signatures(_parse(head))
    found = []
    for name, content in backbones.items():
        model = _parse(content)
        backbone = _layers(model, model.subgraphs[0])
        found.append(Work(name, (*backbone, *classifiers[f"classify_{name}"])))
    return found


def _parse(model: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(model, 0)


def _signatures(model: Any) -> dict[str, list[Layer]]:
    return {
        signature.signatureKey.decode(): list(
            _layers(model, model.subgraphs[signature.subgraphIndex])
        )
        for signature in model.signatureDefs
    }


def _layers(model: Any, graph: Any) -> Iterator[Layer]:
    for operator in graph.operators:
        kind = _kind(model, operator)
        inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
        outputs = [graph.tensors[index] for index in operator.outputs]
        constant = [tensor for tensor in inputs if _is_constant(model, tensor)]
        moving = [tensor for tensor in inputs if not _is_constant(model, tensor)]
        yield Layer(
            kind,
            _macs(kind, inputs, outputs),
            sum(map(_size, constant)),
            sum(map(_size, [*moving, *outputs])),
            sum(map(_elements, [*inputs, *outputs])),
        )


def _kind(model: Any, operator: Any) -> str:
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    return str(names[number])


def _is_constant(model: Any, tensor: Any) -> bool:
    buffer = model.buffers[tensor.buffer]
    # Weights may lie behind the flatbuffer; offsets 0 and 1 say that they do not.
    return bool((buffer.data is not None and len(buffer.data)) or buffer.offset > 1)


def _size(tensor: Any) -> int:
    return _elements(tensor) * _BYTES[int(tensor.type)]


def _elements(tensor: Any) -> int:
    return int(np.prod(tensor.shape)) if tensor.shape is not None else 1


def _macs(kind: str, inputs: list[Any], outputs: list[Any]) -> int:
    """Of one operator; what multiplies no matrix counts as none."""
    if kind == "CONV_2D":  # kernel: (out, rows, cols, in)
        return _elements(outputs[0]) * int(np.prod(inputs[1].shape[1:]))
    if kind == "DEPTHWISE_CONV_2D":  # kernel: (1, rows, cols, out)
        return _elements(outputs[0]) * int(np.prod(inputs[1].shape[1:3]))
    if kind == "FULLY_CONNECTED":  # weights: (out, in)
        return _elements(outputs[0]) * int(inputs[1].shape[1])
    if kind == "BATCH_MATMUL":
        return _matrices(inputs, outputs[0])
    return 0


def _matrices(inputs: list[Any], output: Any) -> int:
    """Of (m, k) times (k, n): the root of mk kn mn, whichever of them is transposed."""
    rows, cols, result = _elements(inputs[0]), _elements(inputs[1]), _elements(output)
    batch = int(np.prod(output.shape[:-2]))
    each = (rows / batch) * (cols / batch) * (result / batch)
    root: float = each**0.5
    return round(root) * batch
