"""What is held back, and what passes."""

from __future__ import annotations

import ctypes
import os

import pytest

from pneumo_edge import native_stderr


def test_a_library_s_lines_are_held_back_and_others_pass(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with native_stderr.captured() as written:
        os.write(2, b"Corrupt JPEG data: premature end\n")
        os.write(2, b"another thread's line\n")
        assert "premature end" in written()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "another thread's line\nafter\n"


def test_a_failure_inside_gives_the_terminal_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), native_stderr.captured():
        raise KeyError
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


@pytest.mark.skipif(os.name != "posix", reason="the C library goes by another name")
def test_silence_takes_both_streams_and_what_c_has_not_written_yet(
    capfd: pytest.CaptureFixture[str],
) -> None:
    c = ctypes.CDLL(None)
    with native_stderr.silenced() as written:
        c.puts(b"a driver that buffers")
        os.write(1, b"one that does not\n")
        os.write(2, b"and complains\n")
        assert {"a driver that buffers", "one that does not", "and complains"} <= set(
            written().splitlines()
        )
    os.write(1, b"after\n")
    assert capfd.readouterr() == ("after\n", "")
