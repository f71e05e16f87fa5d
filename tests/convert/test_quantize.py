from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import BuiltinOperator
from numpy.typing import NDArray

from convert.equalize import channel_ranges
from convert.export import SIGNATURE, FloatBackbone, export
from convert.graph import FORBIDDEN, Graph, operators
from convert.network import read_network
from convert.quantize import SCHEMES, Scheme, quantize, quantize_plainly
from convert.reconstruct import Reconstruction, input_range, reconstruct
from pneumo_edge.manifest import MEMBER_NAMES
from pneumo_edge.tflite_file import parse


def features(content: bytes, film: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of a quantized backbone, in real units; the input is the film with its top bit flipped."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(given["index"], (film[None] ^ 0x80).view(np.int8))
    interpreter.invoke()
    values = interpreter.get_tensor(made["index"]).astype(np.float32)
    scale, zero_point = made["quantization"]
    return np.asarray((values - zero_point) * scale if scale else values, dtype=np.float32)


def relative_error(content: bytes, backbone: FloatBackbone, films: NDArray[np.uint8]) -> float:
    runner = Interpreter(model_content=backbone.tflite).get_signature_runner(SIGNATURE)
    expected = np.stack([runner(grey=x[None])["features"] for x in backbone.normalise(films)])
    found = np.stack([features(content, film) for film in films])
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


def delegates(content: bytes) -> int:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    return sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())


@pytest.fixture(scope="module")
def fitted(small: FloatBackbone, pixels: NDArray[np.uint8]) -> Reconstruction:
    return reconstruct(small, small.normalise(pixels))


@pytest.fixture(scope="module")
def int8(small: FloatBackbone, fitted: Reconstruction) -> bytes:
    return quantize(small, fitted)


def test_the_input_quantization_is_exactly_the_normalisation(
    int8: bytes, small: FloatBackbone
) -> None:
    interpreter = Interpreter(model_content=int8)
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] == made["dtype"] == np.int8
    assert given["quantization"] == (small.scale, small.mean - 128)


def test_every_grey_level_is_held_without_rounding(int8: bytes, small: FloatBackbone) -> None:
    scale, zero_point = Interpreter(model_content=int8).get_input_details()[0]["quantization"]
    grey = np.arange(256, dtype=np.uint8)
    level = (grey ^ 0x80).view(np.int8).astype(np.float64)
    normalised = small.scale * (grey.astype(np.float64) - small.mean)
    np.testing.assert_array_equal(scale * (level - zero_point), normalised)


def test_one_partition_takes_the_whole_graph(int8: bytes) -> None:
    assert delegates(int8) == 1
    assert not operators(int8).keys() & FORBIDDEN


def test_the_weights_that_were_fitted_are_those_that_run(
    int8: bytes, small: FloatBackbone, fitted: Reconstruction
) -> None:
    graph = Graph(bytearray(int8))
    for at, weights in fitted.weights.items():
        given, kernel, bias = graph.operators[at].inputs[:3]
        np.testing.assert_array_equal(graph.values(kernel, np.int8), weights.levels)
        np.testing.assert_array_equal(graph.tensors[kernel].quantization.scale, weights.steps)
        assert not np.any(graph.tensors[kernel].quantization.zeroPoint)
        steps = graph.tensors[bias].quantization.scale
        np.testing.assert_allclose(
            steps, graph.tensors[given].quantization.scale * weights.steps, rtol=1e-6
        )
        real = graph.values(bias, np.int32) * steps.astype(np.float64)
        np.testing.assert_allclose(real, weights.bias, atol=float(steps.max()))


def test_int8_features_stay_near_the_float_ones(
    int8: bytes, small: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    assert relative_error(int8, small, pixels) < 0.03


def test_the_same_films_give_the_same_bytes(
    small: FloatBackbone, pixels: NDArray[np.uint8], int8: bytes
) -> None:
    assert quantize(small, reconstruct(small, small.normalise(pixels))) == int8


@pytest.mark.parametrize("count", [1, 2])
def test_layers_left_in_float_keep_their_weights_and_the_runtime_s_door(
    small: FloatBackbone, pixels: NDArray[np.uint8], int8: bytes, count: int
) -> None:
    network = read_network(small.tflite)
    kept = network.layers[:count]
    fitted = reconstruct(small, small.normalise(pixels), {layer.at for layer in kept})
    mixed = quantize(small, fitted, [network.names[layer.output] for layer in kept])
    graph = Graph(bytearray(mixed))
    convolutions = [op for op in graph.operators if "CONV" in graph.kind(op)]
    for layer, operator in zip(kept, convolutions, strict=False):
        found = graph.values(operator.inputs[1], np.float32)
        np.testing.assert_array_equal(found, layer.kernel)
    assert Interpreter(model_content=mixed).get_input_details()[0]["dtype"] == np.int8
    assert delegates(mixed) == 1
    assert relative_error(mixed, small, pixels) < 0.03
    # OpenVINO and tf2onnx go by the older field, which the quantizer leaves empty where it adds an operator.
    codes = {c.builtinCode: c.deprecatedBuiltinCode for c in parse(mixed).operatorCodes}
    assert codes[BuiltinOperator.QUANTIZE] == BuiltinOperator.QUANTIZE


# float16 rounds weights to 11 bits, int16 and dynamic to 8; dynamic rounds activations to 8 as well.
@pytest.mark.parametrize(("scheme", "bar"), [("float16", 2e-3), ("int16", 0.03), ("dynamic", 0.03)])
def test_other_schemes_take_what_the_runtime_has_and_stay_near(
    small: FloatBackbone,
    fitted: Reconstruction,
    pixels: NDArray[np.uint8],
    scheme: Scheme,
    bar: float,
) -> None:
    content = quantize_plainly(small, scheme, fitted.ranges)
    details = Interpreter(model_content=content).get_input_details()[0]
    assert details["dtype"] == np.int8
    assert details["quantization"] == (small.scale, small.mean - 128)
    assert relative_error(content, small, pixels) < bar


def test_every_scheme_has_a_name_of_its_own() -> None:
    assert len(set(SCHEMES.values())) == len(SCHEMES) == 4


@pytest.mark.parametrize("name", MEMBER_NAMES)
def test_every_member_of_the_paper_is_one_accelerated_partition(
    members: dict[str, Any], pixels: NDArray[np.uint8], name: str
) -> None:
    """By its architecture alone: ranges of one film, and the quantizer's own weights."""
    backbone = export(members[name])
    network = read_network(backbone.tflite)
    found = channel_ranges(network, backbone.normalise(pixels[:1]))
    ranges = {t: (-float(r.max()), float(r.max())) for t, r in found.items()}
    ranges[network.source] = input_range(backbone)
    content = quantize(backbone, Reconstruction({}, ranges))
    assert delegates(content) == 1
    assert not operators(content).keys() & FORBIDDEN
    parameters = sum(layer.kernel.size for layer in network.layers)
    assert len(content) < 1.05 * parameters + 600_000, "one byte a weight, and a scale a channel"
