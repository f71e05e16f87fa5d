from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.export import FloatBackbone
from convert.network import Network, read_network, run_layer, walk
from convert.ranges import fake_quantize
from convert.reconstruct import Reconstruction, input_range, reconstruct
from convert.rounding import nearest, scales


@pytest.fixture(scope="module")
def fitted(small: FloatBackbone, pixels: NDArray[np.uint8]) -> Reconstruction:
    return reconstruct(small, small.normalise(pixels))


def network_of(backbone: FloatBackbone) -> Network:
    return read_network(backbone.tflite)


def features(
    backbone: FloatBackbone, fitted: Reconstruction, films: NDArray[np.uint8], plainly: bool
) -> NDArray[np.float32]:
    """By int8 arithmetic as it is written down, with fitted weights or with the nearest levels."""
    network = network_of(backbone)
    live = {network.source: backbone.normalise(films)}
    for layer in network.layers:
        given = [live[t] for t in layer.inputs]
        if not layer.convolves:
            made = run_layer(layer, given)
        elif plainly:
            rows = np.moveaxis(layer.kernel, -1 if layer.depthwise else 0, 0)
            steps = scales(rows.reshape(len(rows), -1))
            levels = nearest(rows.reshape(len(rows), -1), steps) * steps[:, None]
            kernel = np.moveaxis(levels.reshape(rows.shape), 0, -1 if layer.depthwise else 0)
            made = run_layer(layer, given, kernel)
        else:
            weights = fitted.weights[layer.at]
            made = run_layer(layer, given, weights.kernel(layer), relu=False)
            made += weights.bias - layer.bias
            made = np.maximum(made, 0) if layer.relu else made
        live[layer.output] = fake_quantize(made, fitted.ranges[layer.output])
    return live[network.sink]


def test_fitted_weights_come_nearer_than_the_nearest_levels(
    small: FloatBackbone, fitted: Reconstruction, pixels: NDArray[np.uint8]
) -> None:
    *_, (_, exact) = walk(network_of(small), small.normalise(pixels))
    pooled = exact.mean((1, 2))
    errors = [
        float(np.mean((features(small, fitted, pixels, plainly).mean((1, 2)) - pooled) ** 2))
        for plainly in (False, True)
    ]
    assert errors[0] < 0.8 * errors[1]


def test_no_channel_is_off_in_the_mean(
    small: FloatBackbone, fitted: Reconstruction, pixels: NDArray[np.uint8]
) -> None:
    network = network_of(small)
    first = network.layers[0]
    inputs = small.normalise(pixels)
    weights = fitted.weights[first.at]
    expected = run_layer(first, [inputs], relu=False).mean((0, 1, 2))
    made = run_layer(first, [inputs], weights.kernel(first), relu=False) - first.bias + weights.bias
    np.testing.assert_allclose(made.mean((0, 1, 2)), expected, atol=1e-5)


def test_the_input_has_its_whole_possible_range(
    small: FloatBackbone, fitted: Reconstruction
) -> None:
    assert fitted.ranges[network_of(small).source] == input_range(small) == (-116 / 32, 139 / 32)


def test_what_only_moves_values_shares_its_input_s_range(
    small: FloatBackbone, fitted: Reconstruction
) -> None:
    (pool,) = [layer for layer in network_of(small).layers if layer.kind == "MAX_POOL_2D"]
    assert fitted.ranges[pool.output] == fitted.ranges[pool.inputs[0]]


def test_layers_in_float_get_no_levels(small: FloatBackbone, pixels: NDArray[np.uint8]) -> None:
    first, second, *others = (layer.at for layer in network_of(small).layers if layer.convolves)
    fitted = reconstruct(small, small.normalise(pixels[:2]), floats={first, second})
    assert set(fitted.weights) == set(others)


def test_what_a_layer_in_float_makes_comes_to_an_int8_one_in_int8(
    small: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    network = network_of(small)
    first, second = network.layers[:2]
    inputs = small.normalise(pixels[:2])
    fitted = reconstruct(small, inputs, floats={first.at})
    given = fake_quantize(run_layer(first, [inputs]), fitted.ranges[first.output])
    expected = run_layer(second, [run_layer(first, [inputs])], relu=False).mean((0, 1, 2))
    weights = fitted.weights[second.at]
    made = run_layer(second, [given], weights.kernel(second), relu=False)
    # The bias was set such that no channel is off in the mean, for what int8 hands on.
    np.testing.assert_allclose(
        made.mean((0, 1, 2)) - second.bias + weights.bias, expected, atol=1e-5
    )


def test_what_layers_in_float_hand_on_to_each_other_is_exact(
    small: FloatBackbone, pixels: NDArray[np.uint8]
) -> None:
    network = network_of(small)
    *before, last = network.layers
    inputs = small.normalise(pixels[:2])
    fitted = reconstruct(small, inputs, floats={layer.at for layer in network.layers})
    *_, (_, exact) = walk(network, inputs)
    assert not fitted.weights
    assert fitted.ranges[last.output] == (0.0, float(exact.max()))
    assert len(fitted.ranges) == len(before) + 2
