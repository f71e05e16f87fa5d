"""The average of the weights over steps, and the batch statistics that belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras

STATISTICS_BATCHES = 40
"""Enough for a mean that a further batch moves by little; a fraction of an epoch's time."""


def swap_average(model: Any) -> None:
    """Exchange the weights with their moving averages; twice is nothing."""
    # Keras' SwapEMAWeights reads the same list; there is no public name for it.
    averages = model.optimizer._model_variables_moving_average  # noqa: SLF001
    for weight, average in zip(model.trainable_variables, averages, strict=True):
        value = keras.ops.copy(weight.value)
        weight.assign(average)
        average.assign(value)


def trained_normalisations(model: Any) -> Iterator[Any]:
    """The BatchNormalization layers that follow the batch in training; frozen ones do not."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from trained_normalisations(layer)
        elif isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            yield layer


def refresh_statistics(model: Any, batches: Iterable[Any]) -> int:
    """Measure anew the mean and variance of every BatchNormalization that was trained.

    The moving statistics of a training belong to the weights of its last steps, and lag behind them where
    it was short. An average of weights has statistics of its own.

    Args:
        model: With the weights that it will keep. Only its moving statistics change.
        batches: Training images, (n, rows, cols, 1) each.

    Returns:
        How many layers were measured; 0 where there are none, and then no batch is run.

    Source: P. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    2018, section 3.2 (the update of batch statistics after averaging).
    """
    layers = list(trained_normalisations(model))
    momenta = [layer.momentum for layer in layers]
    if layers:
        for seen, images in enumerate(batches):
            for layer in layers:
                layer.momentum = seen / (seen + 1)  # the plain mean of all batches so far
            model(images, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return len(layers)
