"""What does decoding in the sandbox cost a film?

Cost model: a request and a reply over pipes, the file into the exchange and its pixels out of it, two
process switches; and once, a process that imports numpy and OpenCV. The same films are decoded here and
there, in turn. Processor time is what a busy machine blurs least. The last line is JSON.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psutil
import typer

from benchmarks.laps import laps_ms
from benchmarks.machine import this_machine
from pneumo_edge.decode import decode
from pneumo_edge.errors import DatasetError
from pneumo_edge.sandbox import Sandbox
from pneumo_edge.sources import expand


def measure(films: list[bytes]) -> dict[str, object]:
    """Wall and processor time for each film, in milliseconds, in this process and in the sandbox."""
    began = time.perf_counter()
    with closing(Sandbox()) as box:
        box.decode(films[0], "film")
        start_s = time.perf_counter() - began
        worker = psutil.Process(box.pid)
        start_cpu_s = _processor_s(worker)
        here = psutil.Process()
        turns = {"plain": decode, "sandbox": box.decode}
        result: dict[str, object] = {"films": len(films), "start_s": start_s}
        for name, call in turns.items():
            before = _processor_s(here) + _processor_s(worker)
            queue = iter(films)
            wall = laps_ms(lambda: call(next(queue), "film"), len(films), 0, time.perf_counter_ns)  # noqa: B023 - called at once
            spent = _processor_s(here) + _processor_s(worker) - before
            result[name] = {"processor_ms": spent / len(films) * 1e3, "wall_ms": asdict(wall)}
        return result | {"start_processor_s": start_cpu_s, "worker_mib": box.peak_mib()}


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def command(
    data: Annotated[
        Path, typer.Option(help="The folder with kermany.", envvar="PNEUMO_EDGE_DATA")
    ] = Path("../shared/data"),
) -> None:
    """Decode the test split with and without the sandbox."""
    folder = data / "kermany" / "test"
    found = [source for source in expand([str(folder)]) if source.failure is None]
    if not found:
        raise DatasetError(f"{folder} holds no image", "name the folder with --data")
    result = measure([source.read() for source in found])
    for name in ("plain", "sandbox"):
        row = result[name]
        assert isinstance(row, dict)
        print(
            f"{name:<8} {row['processor_ms']:7.3f} ms of processor time, p50 {row['wall_ms']['p50']:.3f} ms"
        )
    print(
        f"start    {result['start_s']:7.3f} s, {result['start_processor_s']:.3f} s of processor time"
    )
    print(json.dumps(result | {"machine": asdict(this_machine())}))
