"""One candidate in a process of its own, so that its peak memory is its own.

`python -m benchmarks.worker SPEC` reads a request a line from standard input and answers each with one line.
"""

from __future__ import annotations

import os
import sys
import time
from base64 import b64decode
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.machine import MIB, peak_mib
from benchmarks.peers import PEERS, Scorer, ordered, scorer
from pneumo_edge import engines
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.types import SIDE


class Spec(msgspec.Struct, frozen=True):
    """Which candidate this is."""

    name: str
    bundle: str
    exports: str
    """Folder of the peers' forms."""
    run: str | None
    threads: int


class Request(msgspec.Struct, frozen=True):
    """What to do next."""

    do: str
    """start, load, score, explain or peak."""
    member: str = ""
    pixels: str = ""
    """(150, 150) uint8 in base64."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it; which fields are set depends on the request."""

    ms: float = 0.0
    cpu_ms: float = 0.0
    """Processor time of the same, over all threads."""
    first_ms: float = 0.0
    mib: float = 0.0
    y: float = 0.0
    probabilities: dict[str, float] = {}
    members_ms: dict[str, float] = {}
    version: str = ""
    card: str | None = None
    """The graphics card that a loaded member runs on."""
    error: str = ""
    """Set alone, when it failed."""


class Worker:
    """Answers requests, one after the other."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._bundle: Bundle = load_bundle(Path(spec.bundle))
        self._scorer: Scorer | None = None
        self._explainer: Any = None
        self._features: dict[str, Any] = {}

    def answer(self, request: Request) -> Answer:
        """Do one thing; whatever it raises becomes the answer."""
        try:
            step = {"start": self._start, "load": self._load, "score": self._score}
            step |= {"explain": self._explain, "peak": self._peak}
            return step[request.do](request)
        except Exception as err:  # noqa: BLE001  # a driver or a library may raise anything
            return Answer(error=(str(err).strip().splitlines() or [type(err).__name__])[0])

    def _start(self, _: Request) -> Answer:
        spec = self._spec
        start = time.perf_counter()
        run = Path(spec.run) if spec.run else None
        self._scorer = scorer(spec.name, self._bundle, Path(spec.exports), run, spec.threads)
        return Answer(ms=_since(start), version=_version(spec.name))

    def _load(self, request: Request) -> Answer:
        assert self._scorer is not None
        before = _resident_mib()
        start = time.perf_counter()
        self._scorer.load(request.member)
        loaded = _since(start)
        start = time.perf_counter()
        self._scorer.members[request.member].probability(_pixels(request))
        first = _since(start)
        card = self._scorer.card
        return Answer(ms=loaded, first_ms=first, mib=_resident_mib() - before, card=card)

    def _score(self, request: Request) -> Answer:
        assert self._scorer is not None
        pixels = _pixels(request)
        votes: dict[str, float] = {}
        times: dict[str, float] = {}
        start, worked = time.perf_counter(), time.process_time()
        for name, member in self._scorer.members.items():
            lap = time.perf_counter()
            votes[name] = member.probability(pixels)
            times[name] = _since(lap)
        y = self._scorer.fuse(ordered(votes, self._bundle))
        ms, cpu_ms = _since(start), (time.process_time() - worked) * 1e3
        return Answer(ms=ms, cpu_ms=cpu_ms, y=y, probabilities=votes, members_ms=times)

    def _explain(self, request: Request) -> Answer:
        """Time the class-activation map of one member, on features of the right shape."""
        if self._explainer is None:
            from ai_edge_litert.interpreter import Interpreter

            model = self._bundle.model(self._bundle.manifest.head)
            source = (
                {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
            )
            self._explainer = Interpreter(num_threads=1, **source)
        signature = f"explain_{request.member}"
        if signature not in self._explainer.get_signature_list():
            return Answer(error=f"the head has no {signature}")
        runner = self._explainer.get_signature_runner(signature)
        if request.member not in self._features:
            shape = runner.get_input_details()["features"]["shape"]
            rng = np.random.default_rng(20)
            self._features[request.member] = rng.random(tuple(shape), np.float32)
        start = time.perf_counter()
        runner(features=self._features[request.member])
        return Answer(ms=_since(start))

    def _peak(self, _: Request) -> Answer:
        return Answer(mib=peak_mib())


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3


def _pixels(request: Request) -> np.ndarray[Any, np.dtype[np.int8]]:
    grey = np.frombuffer(b64decode(request.pixels), np.uint8).reshape(1, SIDE, SIDE, 1)
    return (grey ^ 0x80).view(np.int8)


def _resident_mib() -> float:
    import psutil

    resident: int = psutil.Process().memory_info().rss
    return resident / MIB


def _version(name: str) -> str:
    kinds = {kind.name: kind.distribution for kind in engines.KINDS}
    distribution = PEERS.get(name) or kinds[name]  # type: ignore[index]
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return distribution


def main() -> None:
    """Answer until standard input ends, as it does when the benchmark's process is gone."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand between answers
    worker = Worker(msgspec.json.decode(sys.argv[1], type=Spec))
    for line in sys.stdin.buffer:
        answer = worker.answer(msgspec.json.decode(line, type=Request))
        out.write(msgspec.json.encode(answer) + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
