"""How many films a second does `pneumo-edge infer FOLDER` score, once it has started?"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.results import Throughput
from pneumo_edge.errors import EngineError

SETTLING = 4
"""Films before the clock starts: loading and first calls lie in them."""


def measure(program: str, film: Path, engine: str, bundle: Path, films: int) -> Throughput:
    """Screen a folder of copies of one film, and clock the lines as they come.

    Args:
        program: The installed console script.
        film: What is copied.
        engine: As in --engine.
        bundle: A folder or a .zip.
        films: Clocked ones, at least 1.

    Raises:
        EngineError: the program failed, or gave fewer findings than there were films.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number in range(SETTLING + films):
            shutil.copyfile(film, Path(folder) / f"{number:05}{film.suffix}")
        command = [program, "infer", folder, "--jsonl", "--engine", engine, "--bundle", str(bundle)]
        arrivals, peak, code, complaint = _clock(command)
    if code != 0 or len(arrivals) != SETTLING + films:
        raise EngineError(
            f"{engine} gave {len(arrivals)} findings for {SETTLING + films} films, exit code {code}"
            f" {complaint}".rstrip(),
            "make pneumo-edge infer work first",
        )
    seconds = arrivals[-1] - arrivals[SETTLING - 1]
    return Throughput(engine, films, round(films / seconds, 3), round(peak, 1))


def _clock(command: list[str]) -> tuple[list[float], float, int, str]:
    """When each line came, the peak memory in MiB, the exit code and the last words."""
    import psutil

    arrivals: list[float] = []
    peak = 0.0
    with (
        tempfile.TemporaryFile() as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        assert process.stdout is not None
        watched = psutil.Process(process.pid)
        for _ in process.stdout:
            arrivals.append(time.perf_counter())
            try:
                peak = max(peak, watched.memory_info().rss / 2**20)
            except psutil.Error:
                break  # it has written all and is gone
        arrivals += [time.perf_counter() for _ in process.stdout]
        process.wait()
        stderr.seek(0)
        last = stderr.read().decode(errors="replace").strip().splitlines()[-1:]
    return arrivals, peak, process.returncode, " ".join(last)
