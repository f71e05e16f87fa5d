from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from train.progress import reading, tell_skipped, training
from train.watch import Progress


def piped() -> tuple[Console, io.StringIO]:
    told = io.StringIO()
    return Console(file=told, width=100), told


def test_a_pipe_gets_a_line_at_the_end_of_each_epoch_and_no_bar() -> None:
    console, told = piped()
    with training("vgg16, fold 0", console) as report:
        for epoch in (1, 2):
            for batch in (1, 2, 3):
                report(Progress("vgg16", "0", epoch, 2, batch, 3, 0.5))
    assert told.getvalue().splitlines() == [
        "vgg16, fold 0: epoch 1/2, loss 0.5000",
        "vgg16, fold 0: epoch 2/2, loss 0.5000",
    ]


def test_reading_says_nothing_in_a_pipe() -> None:
    console, told = piped()
    with reading(console) as step:
        step(3, 10)
    assert told.getvalue() == ""


def test_a_terminal_gets_a_bar() -> None:
    told = io.StringIO()
    with reading(Console(file=told, force_terminal=True, width=80)) as step:
        step(3, 10)
    assert "3/10" in told.getvalue()


def test_each_skipped_file_gets_a_line() -> None:
    console, told = piped()
    tell_skipped(
        ((Path("a.png"), "a.png is [no] image"), (Path("b.png"), "b.png is empty")), console
    )
    assert told.getvalue().splitlines() == [
        "skipped: a.png is [no] image",
        "skipped: b.png is empty",
    ]
