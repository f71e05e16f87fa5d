from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import exports, peers
from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.measure import SAMPLES
from pneumo_edge.screening import ready
from pneumo_edge.sources import Source
from pneumo_edge.tflite_file import inlined

MEMBER = "vgg16"


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.int8]:
    tensor = ready(Source(str(SAMPLES / "pneumonia.png"))).tensor
    return tensor.signed


@pytest.fixture(scope="module")
def model(shipped_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("peers") / f"{MEMBER}.int8.tflite"
    path.write_bytes(inlined((shipped_bundle / f"{MEMBER}.tflite").read_bytes()))
    return path


@pytest.fixture(scope="module")
def expected(shipped_bundle: Path, pixels: NDArray[np.int8]) -> NDArray[np.float32]:
    bundle = load_bundle(shipped_bundle)
    return choose("cpu").backbone(bundle.model(f"{MEMBER}.tflite"), MEMBER, 1).features(pixels)


def agrees(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    # Each engine rounds each layer's int8 in its own way, so that single steps differ.
    return bool(np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99)


def test_openvino_by_hand_computes_the_same_features(
    model: Path, pixels: NDArray[np.int8], expected: NDArray[np.float32]
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    scale, zero_point = exports.output_scale(model)
    found = peers.OpenVinoBackbone(model, scale, zero_point, 1).features(pixels)
    assert found.shape == expected.shape
    assert agrees(found, expected)


@pytest.mark.slow
def test_onnx_runtime_computes_the_same_features(
    model: Path, pixels: NDArray[np.int8], expected: NDArray[np.float32]
) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    convert = pytest.importorskip("tf2onnx.convert", reason="tf2onnx is not installed")
    converted, _ = convert.from_tflite(str(model), opset=exports.OPSET)
    onnx = model.with_suffix(".onnx")
    onnx.write_bytes(converted.SerializeToString())
    scale, zero_point = exports.output_scale(model)
    found = peers.OnnxBackbone(onnx, scale, zero_point, 1).features(pixels)
    assert found.shape == expected.shape
    assert agrees(found, expected)


def test_a_run_has_forms_of_its_own(shipped_bundle: Path, tmp_path: Path) -> None:
    bundle = load_bundle(shipped_bundle)
    model = tmp_path / "vgg16" / "fold-0" / "model.keras"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"one")
    first = exports.folder(bundle, tmp_path)
    assert first != exports.folder(bundle, None)
    assert exports.folder(bundle, tmp_path) == first
    stamp = model.stat().st_mtime_ns + 10**9
    os.utime(model, ns=(stamp, stamp))
    assert exports.folder(bundle, tmp_path) != first


def test_float_tflite_gives_the_answers_of_keras(
    shipped_bundle: Path, tmp_path: Path, pixels: NDArray[np.int8]
) -> None:
    bundle = load_bundle(shipped_bundle)
    exports.write_float(bundle, tmp_path, None)
    scorer = peers.BundleScorer(peers.FLOAT, bundle, tmp_path, 2)
    grey = pixels.astype(np.float32) + 128
    y = bundle.manifest.bias
    for member in bundle.manifest.members:
        scorer.load(member.name)
        theirs = float(exports.keras_member(member.name, None).predict(grey, verbose=0)[0, 0])
        y += member.weight * theirs
        # Float kernels sum in other orders.
        assert scorer.members[member.name].probability(pixels) == pytest.approx(theirs, abs=1e-4)
    order = [member.name for member in bundle.manifest.members]
    answers = [scorer.members[name].probability(pixels) for name in order]
    assert scorer.fuse(answers) == pytest.approx(y, abs=1e-4)
