"""A .tflite graph: its operators, its constants, and what is rewritten before it is quantized."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils as fb
from numpy.typing import NDArray

from pneumo_edge.tflite_file import code_of, put_before

FORBIDDEN = frozenset({"SHAPE", "STRIDED_SLICE", "PACK", "RELU", "DEQUANTIZE", "QUANTIZE"})
"""What no backbone may hold: dynamic shapes, and what leaves the int8 partition."""

BLOCK = 2
"""Pixels on a side that are read as channels."""


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


def pack_stem(tflite: bytes) -> bytes:
    """Let a strided first convolution of one channel read each block of two by two pixels as four channels.

    An engine multiplies a convolution's kernel position by position, and one channel fills a fraction of what
    it multiplies at once. Sixteen positions of four channels take the place of the 49 of a kernel of seven by
    seven. The sums are the same.
    """
    model = fb.read_model_from_bytearray(bytearray(tflite))
    (graph,) = model.subgraphs
    at, op = next(
        (at, op)
        for at, op in enumerate(graph.operators)
        if fb.opcode_to_name(model, op.opcodeIndex) == "CONV_2D"
    )
    given, kernel = (graph.tensors[index] for index in op.inputs[:2])
    out, rows, cols, channels = kernel.shape
    strides = (op.builtinOptions.strideH, op.builtinOptions.strideW)
    valid = op.builtinOptions.padding == schema.Padding.VALID
    even = all(side % BLOCK == 0 for side in given.shape[1:3])
    if not (channels == 1 and strides == (BLOCK, BLOCK) and valid and even and rows == cols):
        return tflite
    blocks = -(-rows // BLOCK)
    weights = np.zeros((out, blocks * BLOCK, blocks * BLOCK), np.float32)
    data = np.asarray(model.buffers[kernel.buffer].data, np.uint8)
    weights[:, :rows, :cols] = data.view(np.float32).reshape(out, rows, cols)
    split = weights.reshape(out, blocks, BLOCK, blocks, BLOCK).transpose(0, 1, 3, 2, 4)
    kernel.shape = np.array([out, blocks, blocks, BLOCK * BLOCK], np.int32)
    model.buffers[kernel.buffer].data = np.ascontiguousarray(split).reshape(-1).view(np.uint8)
    op.builtinOptions.strideH = op.builtinOptions.strideW = 1
    move = schema.SpaceToDepthOptionsT()
    move.blockSize = BLOCK
    code = code_of(model, schema.BuiltinOperator.SPACE_TO_DEPTH, 1)
    shape = (1, given.shape[1] // BLOCK, given.shape[2] // BLOCK, BLOCK * BLOCK)
    kind = schema.BuiltinOptions.SpaceToDepthOptions
    graph.operators.insert(at, put_before(graph, op, code, shape, (kind, move), b"/blocks"))
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
