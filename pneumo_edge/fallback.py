"""An ensemble that moves to the processor where the engine that `auto` chose fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from pneumo_edge.bundle import Bundle
from pneumo_edge.engines import Engine, EngineName
from pneumo_edge.ensemble import Decision, Ensemble
from pneumo_edge.errors import EngineError
from pneumo_edge.types import InputTensor, Interval


class Fallback:
    """Runs one ensemble, and from its engine's first failure on another; for several threads, too."""

    def __init__(
        self,
        first: Ensemble,
        second: Callable[[], Ensemble],
        warn: Callable[[EngineError, EngineName | str], None],
    ) -> None:
        """Take both.

        Args:
            first: Which may fail at any film.
            second: Loads the other, once it is needed.
            warn: Is told why, and the name of the engine that goes on.
        """
        self._now = first
        self._second: Callable[[], Ensemble] | None = second
        self._warn = warn
        self._changing = threading.Lock()

    @property
    def bundle(self) -> Bundle:
        return self._now.bundle

    @property
    def engine(self) -> Engine:
        """The one that ran last."""
        return self._now.engine

    def decide(
        self,
        tensor: InputTensor,
        threshold: float,
        early_exit: bool,
        order: Sequence[str] | None,
        band: Interval | None = None,
    ) -> Decision:
        """As `Ensemble.decide`; the tensor on which the first engine fails is scored by the second.

        Raises:
            EngineError: the second one failed too.
        """
        began_on = self._now
        try:
            return began_on.decide(tensor, threshold, early_exit, order, band)
        except EngineError as err:
            with self._changing:
                if self._now is began_on:  # no other thread has changed it meanwhile
                    if self._second is None:
                        raise
                    self._now, self._second = self._second(), None
                    self._warn(err, self._now.engine.name)
            return self._now.decide(tensor, threshold, early_exit, order, band)
