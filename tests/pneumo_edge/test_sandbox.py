"""What a hostile film may cost: itself, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.decode import decode
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.sandbox import Limits, Sandbox

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX processes and limits")


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with closing(Sandbox()) as sandbox:
        yield sandbox


def png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def worker(box: Sandbox) -> int:
    assert box._worker is not None
    return box._worker.pid


def test_it_decodes_as_this_process_does(box: Sandbox, film: Path) -> None:
    for data in (film.read_bytes(), png(np.full((80, 90), 40000, np.uint16))):
        here, there = decode(data, "film"), box.decode(data, "film")
        np.testing.assert_array_equal(here.pixels, there.pixels)
        assert (there.bits_stored, there.source) == (here.bits_stored, "film")


@pytest.mark.parametrize("data", [b"", b"dear doctor", b"\x89PNG\r\n\x1a\n", b"\x08\0\x05\0CS"])
def test_it_refuses_in_the_same_words(box: Sandbox, data: bytes) -> None:
    with pytest.raises(BadRadiographError) as here:
        decode(data, "a film.png")
    with pytest.raises(BadRadiographError) as there:
        box.decode(data, "a film.png")
    assert str(there.value) == str(here.value)


def test_one_worker_serves_many_films(box: Sandbox, film: Path) -> None:
    box.decode(film.read_bytes(), "film")
    before = worker(box)
    for size in (100, 300, 80):  # a smaller one after a larger one
        pixels = np.random.default_rng(size).integers(0, 256, (size, size)).astype(np.uint8)
        np.testing.assert_array_equal(box.decode(png(pixels), "film").pixels, pixels)
    assert worker(box) == before


@pytest.mark.parametrize("end", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crash_costs_one_film(box: Sandbox, film: Path, end: str) -> None:
    box.decode(film.read_bytes(), "film")
    victim = worker(box)
    os.kill(victim, signal.SIGSTOP)
    crash = threading.Timer(0.3, os.kill, (victim, getattr(signal, end)))
    resume = threading.Timer(0.5, os.kill, (victim, signal.SIGCONT))
    crash.start()
    if end != "SIGKILL":
        resume.start()
    with pytest.raises(BadRadiographError, match=rf"film crashed its decoder \({end}\)"):
        box.decode(film.read_bytes(), "film")
    crash.join()
    assert box.decode(film.read_bytes(), "film").pixels.shape == (180, 240)
    assert worker(box) != victim


def test_a_worker_that_died_between_films_is_replaced(box: Sandbox, film: Path) -> None:
    box.decode(film.read_bytes(), "film")
    assert box._worker is not None
    box._worker.kill()
    box._worker.wait()
    assert box.decode(film.read_bytes(), "film").pixels.shape == (180, 240)


def test_a_film_that_hangs_is_given_up(film: Path) -> None:
    with closing(Sandbox(Limits(wall_s=0.5))) as box:
        box._ready_worker()
        os.kill(worker(box), signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(BadRadiographError, match=r"film took more than 0.5 s to decode"):
            box.decode(film.read_bytes(), "film")
        assert time.monotonic() - start >= 0.5


def test_a_film_that_computes_without_end_is_ended() -> None:
    item = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
    first = b"\x08\x00\x05\x00CS\x00\x00"
    slow = first + b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff" + item * 400_000
    pytest.importorskip("pydicom")
    with (
        closing(Sandbox(Limits(cpu_s=0))) as box,
        pytest.raises(BadRadiographError, match="film took more than 0 s of processor time"),
    ):
        box.decode(slow, "film")


def test_a_film_that_needs_too_much_memory_is_refused_and_the_next_is_read(film: Path) -> None:
    large = png(np.zeros((6000, 8000), np.uint16))
    with closing(Sandbox(Limits(memory_mib=64))) as box:
        with pytest.raises(BadRadiographError, match="film"):
            box.decode(large, "film")
        assert box.decode(film.read_bytes(), "film").pixels.shape == (180, 240)


def test_the_largest_film_that_is_let_in_fits_the_memory(box: Sandbox) -> None:
    assert box.decode(png(np.zeros((6000, 8000), np.uint16)), "film").pixels.shape == (6000, 8000)
