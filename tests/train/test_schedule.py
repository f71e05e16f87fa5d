from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.recipe import Constant, Cosine, MemberRecipe, Plateau
from train.schedule import plateau_rate, rate

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Model:
    """As much of a model as Keras' callback touches."""

    def __init__(self, learning_rate: float) -> None:
        self.optimizer = keras.optimizers.SGD(learning_rate)


def keras_rate(start: float, plateau: Plateau, losses: list[float]) -> float:
    callback = keras.callbacks.ReduceLROnPlateau(
        "val_loss", factor=plateau.factor, patience=plateau.patience, min_lr=plateau.floor
    )
    callback.set_model(Model(start))
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
    return float(callback.model.optimizer.learning_rate)


@given(
    # Steps of 0.0004 lie clear of Keras' least improvement of 0.0001 on either side.
    losses=st.lists(st.integers(0, 12).map(lambda n: n * 0.0004), max_size=25),
    start=st.sampled_from([1e-5, 3e-5, 1e-3]),
    factor=st.sampled_from([0.8, 0.6, 0.1]),
    floor=st.sampled_from([0.0, 1e-9, 8e-6, 1e-4]),
    patience=st.integers(1, 4),
)
def test_the_rate_is_the_one_that_keras_would_have_set(
    losses: list[float], start: float, factor: float, floor: float, patience: int
) -> None:
    plateau = Plateau(factor=factor, floor=floor, patience=patience)
    expected = keras_rate(start, plateau, losses)
    assert plateau_rate(start, plateau, losses) == pytest.approx(expected, rel=1e-5)


def member(schedule: Plateau | Constant | Cosine) -> MemberRecipe:
    return MemberRecipe(learning_rate=1e-3, epochs=4, frozen_layers=0, schedule=schedule)


def test_a_rate_on_a_plateau_does_not_depend_on_the_step() -> None:
    plateau = Plateau(factor=0.5, floor=0, patience=1)
    assert (
        rate(member(plateau), [1.0, 1.0], 7, 9) == rate(member(plateau), [1.0, 1.0], 0, 9) == 5e-4
    )


def test_a_ramp_rises_evenly_to_the_rate_and_stays_there() -> None:
    rates = [rate(member(Constant(warmup_steps=4)), [], step, 9) for step in range(7)]
    assert rates == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3, 1e-3, 1e-3])
    assert rate(member(Constant(warmup_steps=0)), [], 0, 9) == 1e-3


def test_a_cosine_is_the_one_that_keras_has_and_ends_at_nothing() -> None:
    expected = keras.optimizers.schedules.CosineDecay(1e-3, decay_steps=40)
    rates = [rate(member(Cosine(warmup_steps=0)), [], step, 10) for step in range(41)]
    assert rates == pytest.approx([float(expected(step)) for step in range(41)], abs=1e-9)
    warm = [rate(member(Cosine(warmup_steps=4)), [], step, 10) for step in range(41)]
    assert warm[:5] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 1e-3])
    assert all(np.diff(warm[4:]) < 0)
    assert warm[40] == pytest.approx(0)
