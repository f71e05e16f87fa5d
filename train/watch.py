"""What every training is watched for: its rate at each step, its progress, a loss that is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras

from pneumo_edge.errors import RecipeError
from train.recipe import MemberRecipe
from train.schedule import rate

DIVERGED = "lower the learning rate in a recipe of your own, and name a new run folder"


class Drawn(Protocol):
    """Batches that are drawn anew for each epoch."""

    def begin_epoch(self, epoch: int) -> None:
        """Draw; epochs count from 1."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands, for whoever shows it."""

    member: str
    fold: str
    epoch: int
    """From 1."""
    epochs: int
    batch: int
    """From 1."""
    batches: int
    loss: float
    """Mean of the epoch so far."""


class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no type stubs
    """Draws each epoch, sets the rate of each step, reports it, and stops where the loss is no number."""

    def __init__(
        self,
        member: str,
        fold: str,
        recipe: MemberRecipe,
        batches: Drawn,
        report: Callable[[Progress], None],
    ) -> None:
        super().__init__()
        self._member = member
        self._fold = fold
        self._recipe = recipe
        self.batches = batches
        self._report = report
        self._epoch = 0
        self._started = 0.0

    def _losses(self) -> list[float]:
        """Monitored losses of the finished epochs, for a schedule that follows them."""
        return []

    def seconds(self) -> float:
        """Since the epoch began."""
        return time.monotonic() - self._started

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002  # Keras' signature
        """Draw the epoch's films, and start its clock."""
        self.batches.begin_epoch(epoch + 1)
        self._epoch = epoch
        self._started = time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002  # as above
        """Set this step's learning rate."""
        steps = self.params["steps"]
        step = self._epoch * steps + batch
        self.model.optimizer.learning_rate = rate(self._recipe, self._losses(), step, steps)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Report, and refuse to go on from a loss that is no number."""
        loss, epoch = float(logs["loss"]), self._epoch + 1
        if not math.isfinite(loss):
            raise RecipeError(
                f"loss is {loss} in epoch {epoch}, batch {batch + 1} of {self._member}", DIVERGED
            )
        epochs, steps = self._recipe.epochs, self.params["steps"]
        self._report(Progress(self._member, self._fold, epoch, epochs, batch + 1, steps, loss))
