"""A .tflite graph: its operators, its constants, and what is rewritten before it is quantized."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils as fb
from numpy.typing import NDArray

FORBIDDEN = frozenset({"SHAPE", "STRIDED_SLICE", "PACK", "RELU", "DEQUANTIZE", "QUANTIZE"})
"""What no backbone may hold: dynamic shapes, and what leaves the int8 partition."""


class Graph:
    """A .tflite's only subgraph, whose constants can be changed in place.

    In place, because packing the graph anew would lose the alignment of its constants.
    """

    def __init__(self, content: bytearray) -> None:
        self.content = content
        self.model = fb.convert_bytearray_to_object(content)
        self.operators = self.model.subgraphs[0].operators
        self.tensors = self.model.subgraphs[0].tensors

    def kind(self, operator: Any) -> str:
        """The operator's name, for instance CONV_2D."""
        return str(fb.opcode_to_name(self.model, operator.opcodeIndex))

    def activations(self) -> dict[int, str]:
        """The tensors that are not constant, the input among them: name by index."""
        made = [int(op.outputs[0]) for op in self.operators]
        given = [int(index) for index in self.model.subgraphs[0].inputs]
        return {index: self.tensors[index].name.decode() for index in given + made}

    def values(self, index: int, dtype: type[np.generic]) -> NDArray[Any]:
        """A constant tensor; writing to it changes `content`."""
        buffer = self.model.buffers[self.tensors[index].buffer]
        # A large constant is stored behind the flatbuffer proper.
        stored = np.frombuffer(self.content, np.uint8, buffer.size, buffer.offset)
        raw = stored if buffer.offset else buffer.data
        return raw.view(dtype).reshape(self.tensors[index].shape)


def operators(tflite: bytes) -> Counter[str]:
    """How often each operator occurs, over all subgraphs."""
    model = fb.read_model_from_bytearray(bytearray(tflite))
    return Counter(
        str(fb.opcode_to_name(model, op.opcodeIndex)) for g in model.subgraphs for op in g.operators
    )


def separate_weights(tflite: bytes) -> bytes:
    """Give each operator constants of its own, so that one's can be changed without another's.

    The converter stores equal constants once, such as biases of zero.
    """
    model = fb.read_model_from_bytearray(bytearray(tflite))
    for graph in model.subgraphs:
        taken: set[int] = set()
        for op in graph.operators:
            inputs = [int(index) for index in op.inputs]
            for place, index in enumerate(inputs):
                buffer = graph.tensors[index].buffer
                if buffer in taken and model.buffers[buffer].data is not None:
                    own = copy.copy(graph.tensors[index])
                    own.buffer = len(model.buffers)
                    own.name = own.name + f"/{len(graph.tensors)}".encode()  # names are unique
                    model.buffers.append(copy.copy(model.buffers[buffer]))
                    inputs[place] = len(graph.tensors)
                    graph.tensors.append(own)
                taken.add(buffer)
            op.inputs = inputs
    return bytes(fb.convert_object_to_bytearray(model))


def fuse_relus(tflite: bytes) -> bytes:
    """Replace each standalone RELU after an ADD by a second ADD with the ReLU fused into it.

    XNNPACK takes no standalone int8 RELU, so that Xception's eleven (each reads a sum that a shortcut
    reads too, so the converter cannot fuse it) would cut its graph into 12 partitions. The second
    sum is cheap, and its output has a range of its own, which is finer than the unclipped sum's.

    Raises:
        ValueError: a RELU follows something else than an ADD.
    """
    model = fb.read_model_from_bytearray(bytearray(tflite))
    for graph in model.subgraphs:
        makers = {op.outputs[0]: op for op in graph.operators}
        for at, op in enumerate(graph.operators):
            if fb.opcode_to_name(model, op.opcodeIndex) == "RELU":
                graph.operators[at] = _with_relu(model, makers[op.inputs[0]], op.outputs)
    return bytes(fb.convert_object_to_bytearray(model))


def _with_relu(model: Any, maker: Any, outputs: Any) -> Any:
    name = fb.opcode_to_name(model, maker.opcodeIndex)
    if name != "ADD":
        raise ValueError(
            f"a standalone RELU follows {name}, which it cannot be fused into a copy of"
        )
    fused = copy.copy(maker)
    fused.builtinOptions = copy.copy(maker.builtinOptions)
    fused.builtinOptions.fusedActivationFunction = fb.ActivationFunctionType.RELU
    fused.outputs = outputs
    return fused
