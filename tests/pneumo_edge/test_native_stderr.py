"""What is held back, and what passes."""

from __future__ import annotations

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
