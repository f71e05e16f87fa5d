from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import os, sys
from train.quiet import notices_held
try:
    with notices_held():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
        os.write(2, b"I0000 00:00:1795377819.938968 14507 cudart_stub.cc:31] Could not find cuda drivers\\n")
        os.write(2, b"E0000 00:00:1795377819.938968 14507 cuda_platform.cc:52] failed call to cuInit\\n")
        os.write(2, b"E0000 00:00:1795377819.938968 14507 io.cc:7] No space left on device\\n")
        print("Traceback of a failed import", file=sys.stderr, flush=True)
        if "fail" in sys.argv:
            raise ImportError("no such library")
finally:
    print("after", file=sys.stderr)
"""


def written(*arguments: str, level: str | None = None) -> tuple[int, str]:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    return done.returncode, done.stderr


def test_notices_are_dropped_and_every_other_line_stays() -> None:
    code, stderr = written()
    assert code == 0
    assert stderr.splitlines() == [
        "E0000 00:00:1795377819.938968 14507 io.cc:7] No space left on device",
        "Traceback of a failed import",
        "after",
    ]


def test_a_failure_loses_nothing_but_the_notices() -> None:
    code, stderr = written("fail")
    assert code == 1
    assert "No space left on device" in stderr
    assert "Traceback of a failed import" in stderr
    assert "ImportError: no such library" in stderr
    assert "cudart_stub" not in stderr


def test_whoever_sets_tensorflows_own_level_is_shown_everything() -> None:
    _, stderr = written(level="0")
    assert "cudart_stub" in stderr
    assert "cuInit" in stderr
