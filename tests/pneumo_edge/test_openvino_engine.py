"""OpenVINO reads the bundle's own files and answers as LiteRT does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BundleError, EngineError
from pneumo_edge.types import InputTensor

pytest.importorskip("openvino", reason="the extra openvino is not installed")


def test_members_and_fusion_are_as_with_litert(grey: NDArray[np.uint8]) -> None:
    bundle = load_bundle()
    tensor = InputTensor(np.ascontiguousarray(grey[:150, :150]).reshape(1, 150, 150, 1))
    ours = Ensemble(bundle, choose("openvino"), 1).score(tensor)
    theirs = Ensemble(bundle, choose("cpu"), 1).score(tensor)
    for one, other in zip(ours.members, theirs.members, strict=True):
        # Both compute in int8 and round differently, by up to a step in every layer.
        assert one.logit == pytest.approx(other.logit, abs=0.5), one.name
    assert ours.y == pytest.approx(theirs.y, abs=0.1)


def test_bytes_do_as_well_as_a_file(grey: NDArray[np.uint8]) -> None:
    path = load_bundle().path / "vgg16.tflite"
    pixels = np.ascontiguousarray(grey[:150, :150]).reshape(1, 150, 150, 1).view(np.int8)
    engine = choose("openvino")
    found = [
        engine.backbone(model, "vgg16", 1).features(pixels) for model in (path, path.read_bytes())
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].shape == (1, 4, 4, 512)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vgg16.tflite"
    path.write_bytes(b"TFL3 but nothing else")
    with pytest.raises((BundleError, EngineError), match="vgg16"):
        choose("openvino").backbone(path, "vgg16", 1)
