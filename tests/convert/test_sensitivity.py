from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.export import export
from convert.head import fold_classifier
from convert.network import read_network
from convert.sensitivity import left_in_float, rank_layers


def test_the_layer_that_was_broken_is_the_worst(
    small_member: Callable[[float], Any], pixels: NDArray[np.uint8]
) -> None:
    member = small_member(4000.0)
    backbone = export(member)
    ranking = rank_layers(backbone, fold_classifier(member), backbone.normalise(pixels[:4]))
    network = read_network(backbone.tflite)
    assert ranking[0].layer == network.layers[1].at, "the second convolution"
    assert ranking[0].error > 5 * ranking[1].error
    assert len(ranking) == sum(not layer.moves for layer in network.layers)


def test_a_layer_stays_in_float_with_all_that_read_it(
    small_member: Callable[[float], Any],
) -> None:
    network = read_network(export(small_member(0.0)).tflite)
    kinds = [layer.kind for layer in network.layers]
    assert kinds[3:] == ["DEPTHWISE_CONV_2D", "MAX_POOL_2D", "CONV_2D"]
    assert left_in_float(network, [network.layers[0].at]) == {
        layer.at for layer in network.layers[:2]
    }
    # A pooling only moves the values, so who reads it must stay in float too.
    assert left_in_float(network, [network.layers[3].at]) == {
        layer.at for layer in network.layers[3:]
    }
