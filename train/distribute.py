"""Data-parallel training by the framework's own means: every device takes its part of each batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras

from pneumo_edge.errors import RecipeError

HOSTS = "TF_CONFIG"
"""TensorFlow's own variable that names the hosts of a cluster and this one's place among them."""


def accelerators() -> list[str]:
    """The GPUs or TPUs that the backend sees, or its CPU devices where there is none."""
    return list(keras.distribution.list_devices())


def devices(distribute: str, batch_size: int) -> list[str]:
    """The devices to train on.

    Args:
        distribute: none; auto for as many accelerators as divide the batch evenly, but one CPU; or how many.
        batch_size: Of the recipe, over all devices together.

    Raises:
        RecipeError: there are not so many, or they do not divide the batch evenly.
    """
    there = accelerators()
    if distribute == "none":
        return there[:1]
    if distribute == "auto":
        if there[0].startswith("cpu"):
            return there[:1]
        return there[: max(n for n in range(1, len(there) + 1) if batch_size % n == 0)]
    if int(distribute) > len(there):
        raise RecipeError(
            f"{distribute} devices were asked for, but {keras.backend.backend()} sees {len(there)}: "
            f"{', '.join(there)}",
            "pass --distribute auto",
        )
    _refuse_remainder(batch_size, int(distribute))
    return there[: int(distribute)]


def hosts(distribute: str) -> bool:
    """Whether the training is one of several hosts'."""
    return distribute != "none" and HOSTS in os.environ


@cache
def _cluster() -> Any:
    import tensorflow as tf

    return tf.distribute.MultiWorkerMirroredStrategy()


def join(distribute: str) -> None:
    """Meet the other hosts, where `TF_CONFIG` names some; TensorFlow wants that before all else.

    Raises:
        RecipeError: the backend is another one.
    """
    if not hosts(distribute):
        return
    if keras.backend.backend() != "tensorflow":
        raise RecipeError(
            f"{HOSTS} is set, but the backend of Keras is {keras.backend.backend()}",
            "set KERAS_BACKEND=tensorflow to train on several hosts, or unset TF_CONFIG",
        )
    _cluster()


@contextmanager
def spread(distribute: str, batch_size: int) -> Iterator[None]:
    """Build, load and fit models inside this, and they are trained on several devices.

    Nothing is done where there is one device and one host.

    Args:
        distribute: See `devices`.
        batch_size: Of the recipe, over all devices together: the same number of steps, and the same result
            within rounding, on any number of them.

    Raises:
        RecipeError: there are not so many devices, the batch cannot be divided evenly among them, or
            the backend has no means.
    """
    if hosts(distribute):
        _refuse_remainder(batch_size, _cluster().num_replicas_in_sync)
        with _cluster().scope():
            yield
        return
    chosen = devices(distribute, batch_size)
    if len(chosen) == 1:
        yield
        return
    with _on_one_host(chosen):
        yield


def _refuse_remainder(batch_size: int, count: int) -> None:
    if batch_size % count:
        raise RecipeError(
            f"a batch of {batch_size} films cannot be divided among {count} devices",
            "pass another number of devices, or write a recipe with another batch_size",
        )


def _on_one_host(chosen: list[str]) -> Any:
    """The context in which models are spread over these devices."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.distribute.MirroredStrategy(chosen).scope()
    if backend == "jax":
        return keras.distribution.DataParallel(devices=chosen).scope()
    raise RecipeError(
        f"the {backend} backend of Keras trains on one device",
        "set KERAS_BACKEND to tensorflow or jax, or pass --distribute none",
    )
