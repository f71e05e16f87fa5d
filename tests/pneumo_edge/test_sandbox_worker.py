"""The worker's side: its limits, and its answers line by line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pneumo_edge.decode import decode_file
from pneumo_edge.exchange import Exchange
from pneumo_edge.limits import MAX_PIXELS
from pneumo_edge.sandbox import Reply, Request
from pneumo_edge.sandbox_worker import MAX_FILES, serve

resource = pytest.importorskip("resource")


@pytest.fixture
def own_time() -> Iterator[None]:
    """`serve` limits the processor time of its process, which here is that of all tests."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    yield
    resource.setrlimit(resource.RLIMIT_CPU, before)


def test_it_answers_each_request_with_one_line(film: Path, own_time: None) -> None:
    data = film.read_bytes()
    replies = io.BytesIO()
    with closing(Exchange.create()) as films:
        films.put(data)
        asked = msgspec.json.encode(Request(len(data), force=False, photo="auto")) + b"\n"
        serve(io.BytesIO(asked), replies, films, 1000)
        up, answer = replies.getvalue().splitlines()
        reply = msgspec.json.decode(answer, type=Reply)
        assert up == b"{}"
        pixels = np.frombuffer(films.take(reply.rows * reply.cols), np.uint8)
    np.testing.assert_array_equal(pixels.reshape(reply.rows, reply.cols), decode_file(film).pixels)


def test_a_refusal_comes_in_words(own_time: None) -> None:
    replies = io.BytesIO()
    with closing(Exchange.create()) as films:
        films.put(b"dear doctor")
        serve(io.BytesIO(b'{"size": 11, "force": false, "photo": "auto"}\n'), replies, films, 1000)
    reply = msgspec.json.decode(replies.getvalue().splitlines()[1], type=Reply)
    assert "is text, not a radiograph" in reply.what
    assert reply.remedy


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_it_takes_its_limits() -> None:
    code = (
        "import json, resource as r; from pneumo_edge.sandbox_worker import confine; confine(300);"
        "print(json.dumps({n: r.getrlimit(getattr(r, 'RLIMIT_' + n))[1]"
        " for n in ('AS', 'CORE', 'FSIZE', 'NOFILE')} | {"
        "'size': int(open('/proc/self/statm').read().split()[0]) * r.getpagesize(),"
        "'victim': int(open('/proc/self/oom_score_adj').read())}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["CORE"], found["FSIZE"], found["NOFILE"]) == (0, 2 * MAX_PIXELS, MAX_FILES)
    assert found["victim"] == 1000
    # What the interpreter maps between taking the limit and printing it is small.
    assert abs(found["AS"] - found["size"] - 300 * 2**20) < 32 * 2**20
