"""The candidates' processes, all loaded at once, so that their laps can take turns."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from statistics import median

import msgspec

from benchmarks.laps import spread
from benchmarks.peers import precision
from benchmarks.results import Candidate, MemberTime
from benchmarks.worker import Answer, Request, Spec
from pneumo_edge.errors import EngineError
from pneumo_edge.types import InputTensor


class Process:
    """One candidate."""

    def __init__(self, spec: Spec, peer: bool) -> None:
        self.name = spec.name
        self._peer = peer
        command = [sys.executable, "-m", "benchmarks.worker", msgspec.json.encode(spec).decode()]
        # A session of its own: Ctrl-C is for the benchmark, which then asks for what there is.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._start = Answer()
        self._loaded: dict[str, Answer] = {}
        self._laps: list[Answer] = []
        self._explained: dict[str, list[float]] = {}

    def load(self, members: list[str], tensor: InputTensor) -> None:
        """Import the library, then load each member and call it once.

        Raises:
            EngineError: this candidate cannot take part.
        """
        self._start = self._ask(Request("start"))
        for name in members:
            self._loaded[name] = self._ask(Request("load", name, encode(tensor)))

    def score(self, tensor: InputTensor, keep: bool) -> Answer:
        """Score one film; `keep` it as a lap.

        Raises:
            EngineError: it failed.
        """
        answer = self._ask(Request("score", pixels=encode(tensor)))
        if keep:
            self._laps.append(answer)
        return answer

    def explain(self, member: str, runs: int) -> None:
        """Time a member's class-activation map; nothing happens where the head has none."""
        try:
            laps = [self._ask(Request("explain", member)).ms for _ in range(runs + 1)]
        except EngineError:
            return
        self._explained[member] = laps[1:]

    def costs(self, members: list[str]) -> list[float] | None:
        """Median milliseconds of each member; None before the first lap."""
        if not self._laps:
            return None
        return [median(lap.members_ms[name] for lap in self._laps) for name in members]

    def result(self) -> Candidate:
        """What was measured so far."""
        whole = [lap.ms for lap in self._laps]
        return Candidate(
            name=self.name,
            precision=precision(self.name),
            peer=self._peer,
            version=self._start.version,
            card=next((loaded.card for loaded in self._loaded.values()), None),
            start_ms=round(self._start.ms, 3),
            members={name: self._member(name, loaded) for name, loaded in self._loaded.items()},
            ensemble_ms=spread([round(ms, 3) for ms in whole]) if whole else None,
            peak_mib=round(self._ask(Request("peak")).mib, 1),
            processor_ms=spread([round(lap.cpu_ms, 3) for lap in self._laps]) if whole else None,
        )

    def _member(self, name: str, loaded: Answer) -> MemberTime:
        laps = [round(lap.members_ms[name], 3) for lap in self._laps]
        explained = [round(ms, 3) for ms in self._explained.get(name, [])]
        return MemberTime(
            load_ms=round(loaded.ms, 3),
            first_ms=round(loaded.first_ms, 3),
            added_mib=round(loaded.mib, 1),
            ms=spread(laps) if laps else None,
            explain_ms=spread(explained) if explained else None,
        )

    def _ask(self, request: Request) -> Answer:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        if not line:
            raise EngineError(
                f"{self.name}: its process ended with {process.wait()}", "leave it out with --only"
            )
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise EngineError(f"{self.name}: {answer.error}", "leave it out with --only")
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def encode(tensor: InputTensor) -> str:
    """A tensor as a worker reads it."""
    return b64encode(tensor.pixels.tobytes()).decode()
