from __future__ import annotations

import keras
import numpy as np
import pytest

from train.averaging import refresh_statistics, swap_average


def small(trainable: bool = True) -> tuple[keras.Model, keras.layers.Layer]:
    """A model whose normalisation lies in a nested one, as in a member."""
    inner_in = keras.Input((4, 4, 1))
    norm = keras.layers.BatchNormalization(momentum=0.99, trainable=trainable)
    inner = keras.Model(inner_in, norm(keras.layers.Conv2D(3, 3)(inner_in)), name="base")
    outer_in = keras.Input((4, 4, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(inner(outer_in))
    return keras.Model(outer_in, keras.layers.Dense(1)(pooled)), norm


def images(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.normal(5, 2, (6, 4, 4, 1)).astype(np.float32) for _ in range(count)]


def test_statistics_become_the_mean_over_the_batches() -> None:
    model, norm = small()
    batches = images(7)
    before = [w.numpy() for w in model.trainable_weights]
    assert refresh_statistics(model, batches) == 1
    conv = model.get_layer("base").layers[1]
    outputs = [conv(batch).numpy() for batch in batches]
    means = np.mean([out.mean((0, 1, 2)) for out in outputs], axis=0)
    variances = np.mean([out.var((0, 1, 2)) for out in outputs], axis=0)
    np.testing.assert_allclose(norm.moving_mean.numpy(), means, rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance.numpy(), variances, rtol=1e-4)
    assert norm.momentum == 0.99
    for old, new in zip(before, model.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_a_frozen_normalisation_keeps_its_statistics() -> None:
    model, norm = small(trainable=False)
    assert refresh_statistics(model, images(2)) == 0
    np.testing.assert_array_equal(norm.moving_mean.numpy(), np.zeros(3))


def test_swapping_twice_is_nothing_and_once_is_the_average() -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    steps = []
    for _ in range(3):
        model.train_on_batch(x, y)
        steps.append(model.weights[0].numpy())
    # Keras starts the average at the weights after the first step.
    average = 0.5 * (0.5 * steps[0] + 0.5 * steps[1]) + 0.5 * steps[2]
    swap_average(model)
    assert model.weights[0].numpy() == pytest.approx(average, rel=1e-5)
    swap_average(model)
    np.testing.assert_array_equal(model.weights[0].numpy(), steps[2])
