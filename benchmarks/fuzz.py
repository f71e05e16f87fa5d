"""Does any damaged file end in anything but a finding or a refusal?

Real files are damaged at random and go the way of a film from outside: the sandboxed decoder, then
the preparation; every so often, the ensemble. A crash, a hang or a bug's exception of the decoder is
a failure although the sandbox contains it. The same seed damages the same way, so a failure can be
had again by its number. The last line of standard output is JSON.
"""

from __future__ import annotations

import json
import os
import random
import time
import traceback
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.machine import this_machine
from benchmarks.mutate import mutate
from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.prepare import prepare
from pneumo_edge.sandbox import DecoderLostError, Sandbox
from pneumo_edge.types import InputTensor

SCORED = 500
"""One film in so many that are read is scored by the ensemble, whose input is always the same shape."""

FAILURES = ("crash", "bug")


@dataclass
class Tally:
    """What became of the inputs."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """film, refusal, crash (hangs and memory included) or bug."""

    kinds: Counter[str] = field(default_factory=Counter)
    """By the kind of the file that was damaged: those that were read all the same."""

    failures: list[dict[str, str | int]] = field(default_factory=list)
    scored: int = 0
    slowest_ms: float = 0.0
    peak_mib: float = 0.0
    """Of the worker, resident."""


class Fuzzer:
    """Damages, decodes and counts."""

    def __init__(self, seeds: dict[str, list[bytes]], seed: int, box: Sandbox) -> None:
        self._seeds = seeds
        self._seed = seed
        self._box = box
        self._ensemble: Ensemble | None = None
        self.tally = Tally()

    def input(self, number: int) -> tuple[str, bytes, bool]:
        """The kind, the damaged bytes, and whether they are read by force."""
        rng = random.Random(f"{self._seed}/{number}")  # noqa: S311 - it has to be repeatable
        kind = rng.choice(sorted(self._seeds))
        data = rng.choice(self._seeds[kind])
        other = rng.choice(self._seeds[rng.choice(sorted(self._seeds))])
        return kind, mutate(data, other, rng), rng.random() < 0.5

    def run(self, number: int) -> str:
        """One input; what became of it."""
        kind, data, force = self.input(number)
        start = time.perf_counter()
        outcome, says = self._outcome(data, force)
        tally = self.tally
        tally.slowest_ms = max(tally.slowest_ms, (time.perf_counter() - start) * 1e3)
        tally.outcomes[outcome] += 1
        tally.kinds[kind] += outcome == "film"
        if outcome in FAILURES:
            tally.failures.append(
                {
                    "number": number,
                    "kind": kind,
                    "force": int(force),
                    "outcome": outcome,
                    "says": says,
                }
            )
        return outcome

    def _outcome(self, data: bytes, force: bool) -> tuple[str, str]:
        try:
            film = self._box.decode(data, "film", force)
            tensor = prepare(film)
            if self.tally.outcomes["film"] % SCORED == 0:
                self._score(tensor)
        except DecoderLostError as err:
            return "crash", err.what
        except BadRadiographError as err:
            return (
                ("refusal", "") if err.what and err.remedy else ("bug", "a refusal without words")
            )
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            return "bug", traceback.format_exc()
        return "film", ""

    def _score(self, tensor: InputTensor) -> None:
        if self._ensemble is None:
            self._ensemble = Ensemble(load_bundle(), choose("auto"), 1)
        self._ensemble.score(tensor)
        self.tally.scored += 1


def command(
    inputs: Annotated[int, typer.Option(min=1, help="Damaged files to try.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Another one damages otherwise.")] = 0,
    start: Annotated[int, typer.Option(min=0, help="The first input's number.")] = 0,
    seconds: Annotated[float, typer.Option(help="End after this time, 0 for never.")] = 0.0,
    data: Annotated[
        Path,
        typer.Option(help="The folder with kermany, dicom and ood.", envvar="PNEUMO_EDGE_DATA"),
    ] = Path("../shared/data"),
    save: Annotated[Path | None, typer.Option(help="Keep what failed in this folder.")] = None,
) -> None:
    """Feed damaged files to the decoder. Exit code 1 if one of them is neither read nor refused."""
    from benchmarks.seeds import (
        collect,  # its pydicom is an extra that other benchmarks do not need
    )

    began = time.monotonic()
    with closing(Sandbox()) as box:
        fuzzer = Fuzzer(collect(data), seed, box)
        done = 0
        for number in range(start, start + inputs):
            if seconds and time.monotonic() - began > seconds:
                break
            done += 1
            if fuzzer.run(number) in FAILURES and save is not None:
                save.mkdir(parents=True, exist_ok=True)
                (save / f"{seed}-{number}.bin").write_bytes(fuzzer.input(number)[1])
            if done % 1000 == 0:
                fuzzer.tally.peak_mib = max(fuzzer.tally.peak_mib, box.peak_mib())
                print(f"{done} inputs, {dict(fuzzer.tally.outcomes)}", flush=True)
        fuzzer.tally.peak_mib = max(fuzzer.tally.peak_mib, box.peak_mib())
    _report(fuzzer.tally, seed, start, done, time.monotonic() - began)
    if any(fuzzer.tally.outcomes[name] for name in FAILURES):
        raise typer.Exit(1)


def _report(tally: Tally, seed: int, start: int, done: int, wall_s: float) -> None:
    for failure in tally.failures:
        print(f"input {failure['number']} ({failure['kind']}): {failure['says']}")
    result = {
        "inputs": done,
        "seed": seed,
        "start": start,
        "outcomes": dict(tally.outcomes),
        "read_by_kind": dict(tally.kinds),
        "scored": tally.scored,
        "slowest_ms": round(tally.slowest_ms, 1),
        "worker_peak_mib": round(tally.peak_mib, 1),
        "wall_s": round(wall_s, 1),
        "processor_s": round(sum(os.times()[:4]), 1),
        "failures": tally.failures,
        "machine": this_machine().cpu,
    }
    print(json.dumps(result))
