"""Decoding in another process, which may not take more than its share, nor take this one with it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pneumo_edge.errors import BadRadiographError, PneumoEdgeError
from pneumo_edge.exchange import Exchange
from pneumo_edge.limits import check_bytes
from pneumo_edge.types import PhotoMode, Radiograph

NAMELESS = "\0"
"""What the worker calls every film: no file name leaves this process."""

_AGAIN = "export it again as a plain grey PNG"
_REPLY_BYTES = 65536
_START_S = 60.0
"""To import numpy and OpenCV on the slowest of boards; a worker that takes longer is broken."""


class Limits(msgspec.Struct, frozen=True):
    """What decoding one film may cost."""

    memory_mib: int = 1024
    """Address space beyond what the worker has when it starts. The largest film that is let in, of
    128 MiB and 50 million pixels of 16 bits, needs some 700."""

    cpu_s: int = 20
    wall_s: float = 60.0


class Request(msgspec.Struct, frozen=True):
    """Asks for the film that lies in the exchange file."""

    size: int
    """Bytes of the file."""

    force: bool
    photo: PhotoMode


class Reply(msgspec.Struct, frozen=True):
    """A film, whose pixels lie in the exchange file, or why there is none."""

    rows: int = 0
    cols: int = 0
    bits_stored: int = 0
    colour: float = 0.0
    photo: str | None = None
    what: str = ""
    remedy: str = ""


class DecoderLostError(BadRadiographError):
    """A film that the worker did not survive, or did not come back from in time."""


class Sandbox:
    """A process that decodes one film after the other; a new one takes its place when it dies.

    It bounds memory, processor time and wall time, and a crash costs one film. It does not keep a
    film that takes over the decoder from what this user may do: the service's own sandbox must.
    Thread-safe: films wait for each other.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        """Start the worker, without waiting until it is up."""
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._exchange = Exchange.create()
        self._up = False
        self._closed = False
        self._start()

    def decode(
        self, data: bytes, source: str, force: bool = False, photo: PhotoMode = "auto"
    ) -> Radiograph:
        """As `decode.decode`.

        Raises:
            BadRadiographError: as `decode.decode`; also, it took too long or too much memory, or
                crashed the decoder.
            PneumoEdgeError: the worker cannot be started.
        """
        check_bytes(len(data), source)
        with self._lock:
            if self._closed:
                raise DecoderLostError(f"{source} came after the sandbox was closed", _AGAIN)
            worker = self._ready_worker()
            reply = self._ask(worker, Request(len(data), force, photo), data, source)
            if reply.what:
                what, remedy = (
                    text.replace(NAMELESS, source) for text in (reply.what, reply.remedy)
                )
                raise BadRadiographError(what, remedy)
            return self._film(reply, source)

    @property
    def pid(self) -> int | None:
        """The worker's process id; another one once a film has cost its life."""
        return self._worker.pid if self._worker is not None else None

    def peak_mib(self) -> float:
        """Most memory that the worker has had, resident; 0 where the system does not say."""
        status = Path(f"/proc/{self.pid}/status")
        text = status.read_text() if status.exists() else ""
        lines = [line.split() for line in text.splitlines() if line.startswith("VmHWM")]
        return int(lines[0][1]) / 1024 if lines else 0.0

    def close(self) -> None:
        """End the worker, and with it the film that another thread may be waiting for."""
        self._closed = True
        if self._worker is not None:
            self._worker.kill()
        with self._lock:
            self._stop()
            self._exchange.close()

    def _start(self) -> None:
        # The same modules as here, and none that lie in the working folder by chance.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from pneumo_edge import sandbox_worker;"
            f" sandbox_worker.main({self._exchange.descriptor}, {self.limits.memory_mib},"
            f" {self.limits.cpu_s})"
        )
        self._up = False
        self._worker = subprocess.Popen(
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            pass_fds=[self._exchange.descriptor],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is this process's to handle
        )

    def _ready_worker(self) -> subprocess.Popen[bytes]:
        if self._worker is None or self._worker.poll() is not None:
            self._stop()
            self._start()
        assert self._worker is not None
        if not self._up:
            if self._line(self._worker, _START_S) is None:
                code = self._stop()
                raise PneumoEdgeError(
                    f"the process that decodes films did not start (exit code {code})",
                    "run pneumo-edge doctor, or leave out --sandbox",
                )
            self._up = True
        return self._worker

    def _ask(
        self, worker: subprocess.Popen[bytes], request: Request, data: bytes, source: str
    ) -> Reply:
        self._exchange.put(data)
        assert worker.stdin is not None
        try:
            # Far less than a pipe holds: this never blocks.
            worker.stdin.write(msgspec.json.encode(request) + b"\n")
            line = self._line(worker, self.limits.wall_s)
            if line is not None:
                return msgspec.json.decode(line, type=Reply)
        except (BrokenPipeError, msgspec.DecodeError):
            pass
        timed_out = worker.poll() is None
        code = self._stop()
        raise DecoderLostError(f"{source} {self._death(code, timed_out)}", _AGAIN)

    def _death(self, code: int, timed_out: bool) -> str:
        if timed_out:
            return f"took more than {self.limits.wall_s:g} s to decode"
        if -code == getattr(signal, "SIGXCPU", None):
            return f"took more than {self.limits.cpu_s} s of processor time to decode"
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"crashed its decoder ({name}), and nothing else"

    def _line(self, worker: subprocess.Popen[bytes], patience_s: float) -> bytes | None:
        """What the worker says next, up to a line's end; None where it dies or says nothing."""
        assert worker.stdout is not None
        end, found = time.monotonic() + patience_s, b""
        with selectors.DefaultSelector() as selector:
            selector.register(worker.stdout, selectors.EVENT_READ)
            while not found.endswith(b"\n"):
                if not selector.select(max(end - time.monotonic(), 0)):
                    return None
                part = os.read(worker.stdout.fileno(), _REPLY_BYTES)
                if not part or len(found) > _REPLY_BYTES:
                    worker.kill()
                    worker.wait()
                    return None
                found += part
        return found

    def _film(self, reply: Reply, source: str) -> Radiograph:
        kind: Any = np.uint8 if reply.bits_stored == 8 else np.uint16
        count = reply.rows * reply.cols
        pixels = np.frombuffer(self._exchange.take(count * kind().itemsize), kind)
        if not 0 < count == len(pixels):
            raise DecoderLostError(f"{source} {self._death(self._stop(), False)}", _AGAIN)
        shaped = pixels.reshape(reply.rows, reply.cols)
        return Radiograph(shaped, reply.bits_stored, source, reply.colour, reply.photo)

    def _stop(self) -> int:
        """End the worker, if there is one; what it exited with."""
        worker, self._worker = self._worker, None
        if worker is None:
            return 0
        if worker.poll() is None:
            worker.kill()
        for stream in (worker.stdin, worker.stdout):
            if stream is not None:
                stream.close()
        return worker.wait()
