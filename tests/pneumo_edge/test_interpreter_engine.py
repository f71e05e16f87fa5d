"""LiteRT's interpreter, and what it refuses to take for a member or a head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.errors import BundleError
from pneumo_edge.interpreter_engine import Contract, litert

pytest.importorskip("ai_edge_litert", reason="the engine cpu is not installed")

BUNDLE = load_bundle()


@pytest.mark.parametrize("member", [member.name for member in BUNDLE.manifest.members])
def test_xnnpack_takes_each_shipped_member_whole_and_in_one_piece(member: str) -> None:
    api = pytest.importorskip("ai_edge_litert.compiled_model", reason="this LiteRT has no such API")
    model = BUNDLE.path / f"{member}.tflite"
    compiled = api.CompiledModel.from_file(str(model), api.HardwareAccelerator.CPU)
    assert compiled.is_fully_accelerated()
    compiled.close()
    loaded = litert().backbone(model, member, 1)
    operators = loaded._interpreter._get_ops_details()
    assert sum(operator["op_name"] == "DELEGATE" for operator in operators) == 1


def test_the_contract_is_read_without_loading_the_weights() -> None:
    found = litert().contract(BUNDLE.path / "xception.tflite", "xception")
    assert (found.shape, found.quantized) == ((1, 5, 5, 2048), True)
    assert found.scale > 0


def test_features_are_dequantized_unless_they_are_floats() -> None:
    stored = np.array([-128, 0, 127], np.int8)
    whole = Contract(0, 1, (3,), quantized=True, scale=0.5, zero_point=-128)
    np.testing.assert_array_equal(whole.dequantize(stored), np.array([0, 64, 127.5], np.float32))
    left = Contract(0, 1, (3,), quantized=False, scale=0.0, zero_point=0)
    floats = np.array([1.5], np.float32)
    np.testing.assert_array_equal(left.dequantize(floats), floats)


@pytest.mark.parametrize("content", [b"", b"TFL3 and nothing else", b"\x1c\0\0\0TFL3" + bytes(64)])
def test_what_is_no_model_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "vgg16.tflite"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"the member is no model for cpu"):
        choose("cpu").backbone(path, "the member", 1)


def test_a_head_is_no_member_and_a_member_no_head() -> None:
    with pytest.raises(BundleError, match=r"takes float32 .*, not int8"):
        choose("cpu").backbone(BUNDLE.path / BUNDLE.manifest.head, "head.tflite", 1)
    head = choose("cpu").head(BUNDLE.path / "resnet50.tflite", "resnet50.tflite")
    with pytest.raises(BundleError, match=r"resnet50\.tflite has no signature fuse"):
        head.fuse(np.zeros((1, 4), np.float32))
