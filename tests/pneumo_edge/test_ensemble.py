"""The runtime against the same models, run by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.decode import decode_file
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.prepare import prepare
from pneumo_edge.types import SIDE, InputTensor

litert = pytest.importorskip("ai_edge_litert.interpreter", reason="the engine cpu is not installed")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def by_hand(bundle: Bundle, name: str, tensor: InputTensor) -> float:
    """One member's logit, with the built-in kernels instead of XNNPACK's."""
    resolver = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    file = next(member.file for member in bundle.manifest.members if member.name == name)
    backbone = litert.Interpreter(str(bundle.path / file), experimental_op_resolver_type=resolver)
    backbone.allocate_tensors()
    (source,), (target,) = backbone.get_input_details(), backbone.get_output_details()
    pixels = (tensor.pixels.astype(np.int16) - 128).astype(np.int8)
    backbone.set_tensor(source["index"], pixels)
    backbone.invoke()
    scale, zero_point = target["quantization"]
    features = (backbone.get_tensor(target["index"]).astype(np.float64) - zero_point) * scale
    head = litert.Interpreter(str(bundle.path / bundle.manifest.head))
    run = head.get_signature_runner(f"classify_{name}")
    return float(run(features=features.astype(np.float32))["logit"].item())


@pytest.mark.parametrize("name", ["vgg16", "resnet50"])
def test_a_member_answers_as_the_reference_kernels_do(
    bundle: Bundle, name: str, film: Path
) -> None:
    tensor = prepare(decode_file(film))
    ensemble = Ensemble(bundle, choose("cpu"), 2)
    found = {score.name: score for score in ensemble.score(tensor).members}[name]
    expected = by_hand(bundle, name, tensor)
    # The kernels round differently by up to one step of int8 in every layer.
    assert found.logit == pytest.approx(expected, abs=0.15), f"{found.logit} and {expected}"
    assert found.probability == pytest.approx(1 / (1 + np.exp(-found.logit)), abs=1e-5)


def test_the_same_tensor_gives_the_same_answer_every_time(
    bundle: Bundle, grey: NDArray[np.uint8]
) -> None:
    ensemble = Ensemble(bundle, choose("cpu"), 1)
    tensor = InputTensor(np.ascontiguousarray(grey[:SIDE, :SIDE]).reshape(1, SIDE, SIDE, 1))
    first, second = ensemble.score(tensor), ensemble.score(tensor)
    other = ensemble.score(InputTensor(255 - tensor.pixels))
    assert first.y == second.y
    assert first.y != other.y
    assert [score.name for score in first.members] == bundle.manifest.evaluation_order
