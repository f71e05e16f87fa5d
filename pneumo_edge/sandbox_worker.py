"""The other side of the sandbox: takes its limits, then decodes what it is handed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import IO

import cv2
import msgspec

from pneumo_edge.decode import decode
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.exchange import Exchange
from pneumo_edge.limits import MAX_PIXELS
from pneumo_edge.sandbox import NAMELESS, Reply, Request

resource: ModuleType | None
try:
    import resource
except ModuleNotFoundError:  # where there is none, the other side's clock is the only limit
    resource = None

MAX_FILES = 64


def main(exchange: int, memory_mib: int, cpu_s: int) -> None:
    """Serve requests on standard input until it ends.

    Args:
        exchange: File descriptor of the file through which films come and pixels go.
        memory_mib: Address space that may be added to what importing took.
        cpu_s: Processor time for each film.
    """
    cv2.setNumThreads(1)
    # What a codec prints must not be taken for an answer.
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    confine(memory_mib)
    serve(sys.stdin.buffer, replies, Exchange(exchange), cpu_s)


def confine(memory_mib: int) -> None:
    """Take the limits that hold for the process's life, beside what it has by now."""
    if resource is None:
        return
    statm = Path("/proc/self/statm")
    pages = int(statm.read_text().split()[0]) if statm.exists() else 0
    memory = pages * resource.getpagesize() + memory_mib * 2**20
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 2 * MAX_PIXELS),
        (resource.RLIMIT_NOFILE, MAX_FILES),
    ):
        hardest = resource.getrlimit(limit)[1]
        capped = value if hardest == resource.RLIM_INFINITY else min(value, hardest)
        resource.setrlimit(limit, (capped, capped))
    victim = Path("/proc/self/oom_score_adj")
    if victim.exists():  # where memory runs out all the same, this process goes first
        victim.write_text("1000")


def serve(requests: IO[bytes], replies: IO[bytes], films: Exchange, cpu_s: int) -> None:
    """Say that it is up, then answer each request with one line."""
    replies.write(b"{}\n")
    for line in requests:
        _renew_time(cpu_s)
        replies.write(_answer(msgspec.json.decode(line, type=Request), films) + b"\n")


def _renew_time(cpu_s: int) -> None:
    """The limit counts from the process's start, so it moves along from film to film."""
    if resource is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        end = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(request: Request, films: Exchange) -> bytes:
    try:
        film = decode(films.take(request.size), NAMELESS, request.force, request.photo)
    except BadRadiographError as err:
        return msgspec.json.encode(Reply(what=err.what, remedy=err.remedy))
    films.put(film.pixels)
    rows, cols = film.pixels.shape
    return msgspec.json.encode(Reply(rows, cols, film.bits_stored, film.colour, film.photo))
