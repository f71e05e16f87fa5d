from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from convert.export import convolution_base
from convert.head import (
    Classifier,
    build_head,
    correct_logit,
    fold_classifier,
    logits,
    rescale,
)
from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import MEMBER_NAMES
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


def map_by_autodiff(member: Any, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """HiResCAM through the layers of the Keras model, up to the logit of its sigmoid."""
    given = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(given)
        x = given
        *layers, last = member.layers[member.layers.index(convolution_base(member)) + 1 :]
        for layer in layers:
            x = layer(x, training=False)
        logit = x @ last.kernel + last.bias
    return np.asarray(tf.reduce_sum(tape.gradient(logit, given) * given, -1))


def test_explain_is_autodiff_through_the_keras_model(
    classifiers: list[Classifier], members: dict[str, Any]
) -> None:
    head = Interpreter(model_content=build_head(classifiers, WEIGHTS, BIAS, "float32"))
    for part in classifiers:
        runner = head.get_signature_runner(f"explain_{part.name}")
        for features in feature_maps(part.shape):
            found, expected = (
                runner(features=features)["map"],
                map_by_autodiff(members[part.name], features),
            )
            assert found.shape == (1, *part.shape[:2])
            assert (expected < 0).any(), "signed"
            np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max() + 1e-7)


def test_the_map_of_the_int8_head_shows_the_same(
    classifiers: list[Classifier], members: dict[str, Any]
) -> None:
    head = Interpreter(model_content=build_head(classifiers, WEIGHTS, BIAS))
    for part in classifiers:
        runner = head.get_signature_runner(f"explain_{part.name}")
        for features in feature_maps(part.shape):
            expected = map_by_autodiff(members[part.name], features).ravel()
            found = runner(features=features)["map"].ravel()
            # Units near their threshold may fall on its other side; random ones more than trained ones.
            assert np.corrcoef(found, expected)[0, 1] > 0.9


@pytest.mark.parametrize("gain", [0.016, 0.5])
def test_a_rescaled_classifier_answers_the_same_of_rescaled_features(
    classifiers: list[Classifier], gain: float
) -> None:
    for part in classifiers:
        gains = np.linspace(gain, 1, part.shape[2], dtype=np.float32)
        features = feature_maps(part.shape)[:, 0]
        found = logits(rescale(part, gains), features / gains)
        np.testing.assert_allclose(found, logits(part, features), rtol=1e-4, atol=1e-5)


def test_logits_are_those_of_the_keras_head(
    classifiers: list[Classifier], members: dict[str, Any]
) -> None:
    for part in classifiers:
        maps = feature_maps(part.shape)
        expected = [by_keras(members[part.name], features) for features in maps]
        found = 1 / (1 + np.exp(-logits(part, maps[:, 0])))
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("slope", "shift"), [(0.7, -1.5), (1.3, 0.4)])
def test_a_drift_of_the_logit_is_taken_back(
    classifiers: list[Classifier], slope: float, shift: float
) -> None:
    part = classifiers[1]
    features = feature_maps(part.shape)[:, 0]
    made = logits(part, features)
    exact = slope * made + shift
    corrected = correct_logit(part, made, exact)
    np.testing.assert_allclose(logits(corrected, features), exact, rtol=1e-4, atol=1e-4)


def test_logits_that_do_not_vary_are_left_alone(classifiers: list[Classifier]) -> None:
    flat = np.full(5, 0.3)
    assert correct_logit(classifiers[0], flat, flat + 1) is classifiers[0]


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
    # Shared by classify and explain.
    assert len(build_head(classifiers, WEIGHTS, BIAS)) < kernels + 60_000


def test_the_whole_head_stays_under_8_mb(members: dict[str, Any]) -> None:
    parts = [fold_classifier(members[name]) for name in MEMBER_NAMES]
    assert len(build_head(parts, [0.25] * 4, BIAS)) < 8e6


def test_another_head_is_refused_by_name() -> None:
    inputs = keras.Input((150, 150, 1))
    base_input = keras.Input((150, 150, 3))
    pooled = keras.layers.AveragePooling2D(50)(base_input)
    base = keras.Model(base_input, pooled, name="vgg16")
    x = base(GreyToThree(116, 1.0)(inputs))
    model = keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(x), name="odd")
    with pytest.raises(RecipeError, match="head of odd is GlobalMaxPooling2D"):
        fold_classifier(model)
