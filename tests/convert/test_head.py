from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from convert.export import convolution_base
from convert.head import Classifier, build_head, fold_classifier
from pneumo_edge.errors import RecipeError
from train.members import GreyToThree

NAMES = ("vgg16", "resnet50")
WEIGHTS, BIAS = (0.7, -0.2), 0.05


@pytest.fixture(scope="module")
def classifiers(members: dict[str, Any]) -> list[Classifier]:
    return [fold_classifier(members[name]) for name in NAMES]


def feature_maps(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """(4, 1, rows, cols, channels): sparse and positive, as a map behind a ReLU is."""
    rng = np.random.default_rng(5)
    return np.maximum(rng.normal(size=(4, 1, *shape)), 0).astype(np.float32)


def by_keras(member: Any, features: NDArray[np.float32]) -> float:
    x: Any = features
    for layer in member.layers[member.layers.index(convolution_base(member)) + 1 :]:
        x = layer(x, training=False)
    return float(np.asarray(x).item())


# float32: another order of summation. int8: 256 or 512 units, each of whose kernels and inputs is
# rounded to 8 bits, and random weights that do not agree with one another.
@pytest.mark.parametrize(
    ("storage", "tolerance"),
    [("float32", 1e-5), ("weight-only-int8", 4e-3), ("dynamic-int8", 6e-3)],
)
def test_classify_answers_as_the_keras_head(
    classifiers: list[Classifier], members: dict[str, Any], storage: Any, tolerance: float
) -> None:
    head = Interpreter(model_content=build_head(classifiers, WEIGHTS, BIAS, storage))
    for part in classifiers:
        runner = head.get_signature_runner(f"classify_{part.name}")
        for features in feature_maps(part.shape):
            out = runner(features=features)
            logit, probability = out["logit"].item(), out["probability"].item()
            expected = by_keras(members[part.name], features)
            assert probability == pytest.approx(expected, abs=tolerance)
            assert probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


@pytest.fixture(scope="module")
def fuse(classifiers: list[Classifier]) -> Any:
    return Interpreter(model_content=build_head(classifiers, WEIGHTS, BIAS)).get_signature_runner(
        "fuse"
    )


@given(probabilities=st.tuples(*[st.floats(0, 1, width=32)] * 2))
def test_fuse_is_the_linear_formula(fuse: Any, probabilities: tuple[float, float]) -> None:
    y = fuse(probabilities=np.array([probabilities], np.float32))["y"]
    assert y.shape == (1, 1)
    expected = sum(a * x for a, x in zip(WEIGHTS, probabilities, strict=True)) + BIAS
    assert y.item() == pytest.approx(expected, abs=1e-6)  # not quantized: float32 rounding alone


def test_int8_kernels_are_stored_once_and_small(classifiers: list[Classifier]) -> None:
    kernels = sum(part.hidden_kernel.size for part in classifiers)
    # One byte an element; beside them a scale and a bias per unit, and 256 + 512 float weights.
    assert len(build_head(classifiers, WEIGHTS, BIAS)) < kernels + 40_000


def test_another_head_is_refused_by_name() -> None:
    inputs = keras.Input((150, 150, 1))
    base_input = keras.Input((150, 150, 3))
    pooled = keras.layers.AveragePooling2D(50)(base_input)
    base = keras.Model(base_input, pooled, name="vgg16")
    x = base(GreyToThree(116, 1.0)(inputs))
    model = keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x), name="odd")
    with pytest.raises(RecipeError, match="head of odd is GlobalMaxPooling2D"):
        fold_classifier(model)
