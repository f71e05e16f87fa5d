"""The bar, on a terminal of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")


def on_a_terminal(*arguments: str) -> str:
    """Everything that `pneumo-edge infer` shows on a terminal."""
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-c",
        "from pneumo_edge.cli import main; main()",
        "infer",
        *arguments,
    ]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # what Linux answers when the other side is closed
                break
            if not block:
                break
            shown += block
    os.close(ours)
    assert running.returncode == 0
    return shown.decode()


def plain(shown: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n").splitlines()


def test_many_images_get_a_bar_and_a_line_each(film: Path, tmp_path: Path) -> None:
    place = tmp_path / "two"
    place.mkdir()
    for name in ("a.png", "b.png"):
        (place / name).write_bytes(film.read_bytes())
    shown = on_a_terminal(str(place))
    assert "0/2" in shown
    assert re.search("[12]/2", shown)  # both may be done before the bar is drawn again
    verdicts = r"(NORMAL|PNEUMONIA|INDETERMINATE) .*(a|b)\.png$"
    rows = [line for line in plain(shown) if re.match(verdicts, line)]
    assert len(rows) == 2, plain(shown)


def test_one_image_gets_no_bar(film: Path) -> None:
    shown = on_a_terminal(str(film))
    assert "0/1" not in shown
    assert "\x1b[" in shown, "no colour on a terminal"
