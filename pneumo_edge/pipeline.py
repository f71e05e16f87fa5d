"""Films through decoding and scoring, several at a time, out in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from pneumo_edge.errors import BadRadiographError
from pneumo_edge.screening import Prepared, Screener, ready
from pneumo_edge.sources import STDIN, Source
from pneumo_edge.types import Finding, Refusal

Outcome = Finding | Refusal

_DECODERS = 2
"""One film is read from the disk while another is decoded; OpenCV decodes one at a time."""

_AHEAD = 2
"""Films begun for each lane: memory does not grow with their number."""


def outcomes(films: Iterator[Source], lanes: Sequence[Screener]) -> Iterator[Outcome]:
    """Decode the next films while earlier ones are scored, one in each lane.

    Args:
        films: Is asked for the next name only when there is room for it.
        lanes: At least one; each is used by one thread at a time.

    Yields:
        One outcome for each film, in their order, each as soon as it and those before it are known.

    Raises:
        BundleError: the models answer nonsense.
        EngineError: the engine failed.
    """
    idle: SimpleQueue[Screener] = SimpleQueue()
    for lane in lanes:
        idle.put(lane)
    decoders = ThreadPoolExecutor(_DECODERS)
    scorers = ThreadPoolExecutor(len(lanes))
    begun: deque[Future[Outcome]] = deque()
    try:
        for source in films:
            if source.name == STDIN:
                # Ctrl-C reaches this thread only, and what came before should not wait for a pipe.
                while begun:
                    yield begun.popleft().result()
                yield lanes[0].outcome(source)
                continue
            film = decoders.submit(ready, source, lanes[0].decoder)
            begun.append(scorers.submit(_score, idle, source, film))
            if len(begun) > _AHEAD * len(lanes):
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:  # reached by Ctrl-C and by a reader that leaves, too
        scorers.shutdown(wait=False, cancel_futures=True)
        decoders.shutdown(wait=False, cancel_futures=True)


def _score(idle: SimpleQueue[Screener], source: Source, film: Future[Prepared]) -> Outcome:
    lane = idle.get()
    try:
        return lane.finish(film.result())
    except BadRadiographError as err:
        return Refusal(source.name, err.what, err.remedy)
    finally:
        idle.put(lane)
