"""A .tflite file, rewritten in memory for an engine that cannot take it as it is; answers stay the same."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

_FIRST_OUTSIDE = 2
"""Offsets 0 and 1 say that a buffer lies inside the flatbuffer (schema.fbs, table Buffer)."""

_OLD_CODES = 127
"""The largest code that the older field holds, and what stands there for all above (schema.fbs, OperatorCode)."""


def has_outside_weights(data: bytes) -> bool:
    """Whether weights lie behind the flatbuffer, as they may in files above 2 GB and in the quantizer's."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    buffers = (model.Buffers(index) for index in range(model.BuffersLength()))
    return any(buffer.Offset() >= _FIRST_OUTSIDE for buffer in buffers)


def inlined(data: bytes) -> bytes:
    """The model with every weight inside the flatbuffer; OpenVINO reads no other."""
    return pack(parse(data))


def pooled_strides(data: bytes) -> bytes:
    """The model with every strided 1 x 1 convolution as a pooling that strides and a convolution that does not.

    A maximum over one value is that value, so nothing changes. LiteRT's WebGPU accelerator (2.1 to 2.3) takes
    its fast path for 1 x 1 kernels whatever their stride, and answers nonsense.
    """
    model = parse(data)
    for graph in model.subgraphs:
        operators: list[Any] = []
        for operator in graph.operators:
            if _is_strided_pointwise(model, graph, operator):
                operators.append(_split_off_stride(model, graph, operator))
            operators.append(operator)
        graph.operators = operators
    return pack(model)


def parse(data: bytes) -> Any:
    """The schema's object tree, every weight in it."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for buffer in model.buffers:
        if buffer.offset >= _FIRST_OUTSIDE:
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    for code in model.operatorCodes:
        # The quantizer leaves the older field at 0, which is ADD; OpenVINO and tf2onnx go by it.
        code.deprecatedBuiltinCode = min(code.builtinCode, _OLD_CODES)
    return model


def pack(model: Any) -> bytes:
    """A file of the tree that `parse` made."""
    import flatbuffers  # comes with ai-edge-litert, as the schema does

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _is_strided_pointwise(model: Any, graph: Any, operator: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    if code != schema.BuiltinOperator.CONV_2D:
        return False
    options = operator.builtinOptions
    kernel = tuple(graph.tensors[operator.inputs[1]].shape[1:3])
    return kernel == (1, 1) and max(options.strideH, options.strideW) > 1


def _split_off_stride(model: Any, graph: Any, convolution: Any) -> Any:
    """The pooling that goes before a convolution, which loses its stride."""
    from ai_edge_litert import schema_py_generated as schema

    options = convolution.builtinOptions
    batch, _, _, channels = graph.tensors[convolution.inputs[0]].shape
    _, rows, cols, _ = graph.tensors[convolution.outputs[0]].shape
    pooling = schema.Pool2DOptionsT()
    pooling.padding = schema.Padding.VALID
    pooling.strideH, pooling.strideW = options.strideH, options.strideW
    pooling.filterHeight = pooling.filterWidth = 1
    options.strideH = options.strideW = 1
    # The second version is the first that knows int8.
    code = code_of(model, schema.BuiltinOperator.MAX_POOL_2D, 2)
    kind = schema.BuiltinOptions.Pool2DOptions
    return put_before(
        graph, convolution, code, (batch, rows, cols, channels), (kind, pooling), b"/strided"
    )


def put_before(
    graph: Any,
    reader: Any,
    code: int,
    shape: tuple[int, ...],
    options: tuple[int, Any],
    name: bytes,
) -> Any:
    """An operator that takes over another's first input, which reads what it makes; its place is the caller's.

    Args:
        graph: Gets the tensor between the two; it is quantized as the input is.
        reader: The other operator.
        code: From `code_of`.
        shape: Of the tensor between the two.
        options: The operator's, behind their type in schema.BuiltinOptions.
        name: Is added to the input's.
    """
    from ai_edge_litert import schema_py_generated as schema

    source, between = reader.inputs[0], len(graph.tensors)
    tensor = copy.copy(graph.tensors[source])
    tensor.shape = np.array(shape, np.int32)
    tensor.shapeSignature, tensor.buffer = None, 0
    tensor.name = (tensor.name or b"") + name + b"%d" % between  # names are unique
    graph.tensors.append(tensor)
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs = np.array([source], np.int32)
    operator.outputs = np.array([between], np.int32)
    operator.builtinOptionsType, operator.builtinOptions = options
    reader.inputs = np.array([between, *reader.inputs[1:]], np.int32)
    return operator


def code_of(model: Any, wanted: int, version: int) -> int:
    """Where an operator stands among the model's operator codes; put there if it does not.

    Args:
        model: Of the schema's object tree.
        wanted: Of schema.BuiltinOperator.
        version: The first that knows the types needed.
    """
    from ai_edge_litert import schema_py_generated as schema

    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == wanted:
            return index
    added = schema.OperatorCodeT()
    added.builtinCode = added.deprecatedBuiltinCode = wanted
    added.version = version
    model.operatorCodes.append(added)
    return len(model.operatorCodes) - 1
