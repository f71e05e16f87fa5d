"""The operators of a .tflite graph, and the one rewrite that XNNPACK needs."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils as fb

FORBIDDEN = frozenset({"SHAPE", "STRIDED_SLICE", "PACK", "RELU", "DEQUANTIZE", "QUANTIZE"})
"""What no backbone may hold: dynamic shapes, and what leaves the int8 partition."""


def operators(tflite: bytes) -> Counter[str]:
    """How often each operator occurs, over all subgraphs."""
    model = fb.read_model_from_bytearray(bytearray(tflite))
    return Counter(
        str(fb.opcode_to_name(model, op.opcodeIndex)) for g in model.subgraphs for op in g.operators
    )


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
