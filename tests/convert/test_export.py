from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from convert.export import FloatBackbone, convolution_base, grey_base, normalisation
from convert.graph import FORBIDDEN, operators
from pneumo_edge.errors import RecipeError
from train.members import GREY_MEAN, GREY_SCALE, build_member


def test_the_grey_backbone_answers_as_the_three_channel_base_did(
    backbone: FloatBackbone, members: dict[str, Any], pixels: NDArray[np.uint8]
) -> None:
    member = members[backbone.name]
    three = member.get_layer("grey")(pixels[:2].astype(np.float32))
    expected = np.asarray(convolution_base(member)(three, training=False))
    runner = Interpreter(model_content=backbone.tflite).get_signature_runner("serving_default")
    for film, want in zip(pixels, expected, strict=False):
        grey = backbone.scale * (film[None].astype(np.float32) - backbone.mean)
        got = runner(grey=grey)["features"][0]
        # float32 sums of up to 4608 products in another order; BatchNormalization is folded.
        np.testing.assert_allclose(got, want, atol=2e-4 * float(np.abs(want).max()))


def test_a_backbone_holds_no_operator_that_leaves_the_int8_partition(
    backbone: FloatBackbone,
) -> None:
    assert not operators(backbone.tflite).keys() & FORBIDDEN
    allowed = {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "ADD", "PAD", "SPACE_TO_DEPTH"}
    assert operators(backbone.tflite).keys() <= allowed


def test_a_backbone_has_one_grey_channel_and_a_batch_of_one(backbone: FloatBackbone) -> None:
    details = Interpreter(model_content=backbone.tflite)
    details.allocate_tensors()
    assert details.get_input_details()[0]["shape"].tolist() == [1, 150, 150, 1]
    assert (backbone.mean, backbone.scale) == (GREY_MEAN[backbone.name], GREY_SCALE[backbone.name])


@pytest.mark.parametrize("strides", ["v1", "v1.5"])
def test_resnet50_keeps_its_strides(strides: Any) -> None:
    """The copy is made from the base's own settings, whichever variant was trained."""
    member = build_member("resnet50", strides=strides)
    copy, base = grey_base(member), convolution_base(member)
    for layer in base.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert copy.get_layer(layer.name).strides == layer.strides
    kernel = base.get_layer("conv1_conv").get_weights()[0]
    folded = copy.get_layer("conv1_conv").get_weights()[0]
    np.testing.assert_allclose(folded[:, :, 0], kernel.sum(2), atol=1e-6)


def test_a_model_from_elsewhere_is_refused() -> None:
    inputs = keras.Input((150, 150, 1))
    model = keras.Model(inputs, keras.layers.Flatten()(inputs), name="stranger")
    with pytest.raises(RecipeError, match="stranger has 0 convolution bases"):
        convolution_base(model)
    with pytest.raises(RecipeError, match="stranger has 0 grey layers"):
        normalisation(model)
