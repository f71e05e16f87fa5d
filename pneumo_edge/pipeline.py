"""Films through decoding and scoring, several at a time, out in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from pneumo_edge.errors import BadRadiographError
from pneumo_edge.screening import Prepared, Screener, refusal
from pneumo_edge.sources import STDIN, Source
from pneumo_edge.types import Finding, Refusal

Outcome = Finding | Refusal

_DECODERS = 2
"""One film is read from the disk while another is decoded; OpenCV decodes one at a time."""

_AHEAD = 2
"""Films begun for each lane: memory does not grow with their number."""


def outcomes(
    films: Iterator[Source], screener: Screener, lanes: int
) -> Generator[Outcome, None, None]:
    """Decode the next films while earlier ones are scored.

    Args:
        films: Is asked for the next name only when there is room for it.
        screener: Is used by so many threads at a time.
        lanes: Films that are scored at a time, at least 1.

    Yields:
        One outcome for each film, in their order, each as soon as it and those before it are known.

    Raises:
        BundleError: the models answer nonsense.
        EngineError: the engine failed.
    """
    decoders = ThreadPoolExecutor(_DECODERS)
    scorers = ThreadPoolExecutor(lanes)
    begun: deque[Future[Outcome]] = deque()
    try:
        for source in films:
            if source.name == STDIN:
                # Ctrl-C reaches this thread only, and what came before should not wait for a pipe.
                while begun:
                    yield begun.popleft().result()
                yield screener.outcome(source)
                continue
            film = decoders.submit(screener.ready, source)
            begun.append(scorers.submit(_score, screener, source, film))
            if len(begun) > _AHEAD * lanes:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:  # reached by Ctrl-C and by a reader that leaves, too
        scorers.shutdown(wait=False, cancel_futures=True)
        decoders.shutdown(wait=False, cancel_futures=True)


def _score(screener: Screener, source: Source, film: Future[Prepared]) -> Outcome:
    try:
        return screener.finish(film.result())
    except BadRadiographError as err:
        return refusal(source, err)
