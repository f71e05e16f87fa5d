"""A rewritten model answers as it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge import tflite_file
from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose

pytest.importorskip("ai_edge_litert", reason="the schema comes with the engine cpu")

CONV_2D, MAX_POOL_2D = 3, 17


def strided_pointwise(data: bytes) -> int:
    model = tflite_file.parse(data)
    (graph,) = model.subgraphs
    return sum(
        model.operatorCodes[op.opcodeIndex].builtinCode == CONV_2D
        and tuple(graph.tensors[op.inputs[1]].shape[1:3]) == (1, 1)
        and op.builtinOptions.strideW > 1
        for op in graph.operators
    )


@pytest.mark.parametrize("member", ["resnet50", "xception"])
def test_strides_move_into_a_pooling_and_the_answer_stays(
    member: str, grey: NDArray[np.uint8]
) -> None:
    bundle, engine = load_bundle(), choose("cpu")
    data = (bundle.path / f"{member}.tflite").read_bytes()
    pooled = tflite_file.pooled_strides(data)
    assert strided_pointwise(data) > 0 == strided_pointwise(pooled)
    assert not tflite_file.has_outside_weights(pooled)
    pixels = np.ascontiguousarray(grey[:150, :150]).reshape(1, 150, 150, 1).view(np.int8)
    ours, theirs = (engine.backbone(model, member, 1).features(pixels) for model in (pooled, data))
    np.testing.assert_array_equal(ours, theirs)


def test_weights_behind_the_flatbuffer_move_into_it() -> None:
    bundle = load_bundle()
    data = (bundle.path / "vgg16.tflite").read_bytes()
    inside = tflite_file.inlined(data)
    assert not tflite_file.has_outside_weights(inside)
    assert tflite_file.inlined(inside) == inside
    if not tflite_file.has_outside_weights(data):
        pytest.skip("this bundle's weights lie inside already")
    weights = [
        [
            buffer.data.tobytes()
            for buffer in tflite_file.parse(model).buffers
            if buffer.data is not None
        ]
        for model in (data, inside)
    ]
    assert weights[0] == weights[1]
    assert sum(map(len, weights[0])) > 10_000_000


def test_a_model_without_pooling_gets_one(tmp_path: Path) -> None:
    parsed = tflite_file.parse((load_bundle().path / "resnet50.tflite").read_bytes())
    (graph,) = parsed.subgraphs
    graph.operators = [op for op in graph.operators if op.builtinOptions is not None][:1]
    before = len(parsed.operatorCodes)
    parsed.operatorCodes = [c for c in parsed.operatorCodes if c.builtinCode != MAX_POOL_2D]
    assert len(parsed.operatorCodes) == before - 1
    assert tflite_file.code_of(parsed, MAX_POOL_2D, 2) == len(parsed.operatorCodes) - 1
    assert parsed.operatorCodes[-1].builtinCode == MAX_POOL_2D


def test_both_fields_of_an_operator_code_say_the_same() -> None:
    parsed = tflite_file.parse(load_bundle().content("resnet50.tflite"))
    for code in parsed.operatorCodes:
        code.deprecatedBuiltinCode = 0  # as the quantizer leaves it, of operators that it adds
    read = tflite_file.parse(tflite_file.pack(parsed))
    codes = {code.builtinCode: code.deprecatedBuiltinCode for code in read.operatorCodes}
    assert {CONV_2D, MAX_POOL_2D} < set(codes)
    assert codes == {code: min(code, 127) for code in codes}
