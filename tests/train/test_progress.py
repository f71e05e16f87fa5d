from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from train.progress import reading, tell_skipped, training
from train.watch import Progress


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


def test_a_log_gets_a_line_for_each_epoch_and_no_bar(told: io.StringIO) -> None:
    console = Console(file=told, width=80)
    with training("vgg16, fold 0", console) as report:
        for epoch in (1, 2):
            for batch in (1, 2, 3):
                report(Progress("vgg16", "0", epoch, 2, batch, 3, 1 / batch / epoch))
    assert told.getvalue().splitlines() == [
        "vgg16, fold 0: epoch 1/2, loss 0.3333",
        "vgg16, fold 0: epoch 2/2, loss 0.1667",
    ]


def test_a_terminal_gets_bars(told: io.StringIO) -> None:
    console = Console(file=told, width=120, force_terminal=True)
    with training("xception", console) as report:
        report(Progress("xception", "0", 2, 2, 3, 4, 0.5))
    assert "7/8" in told.getvalue()
    assert "loss 0.5000" in told.getvalue()
    with reading(console) as step:
        step(1, 3)
        step(2, 3)
    assert "3/3" in told.getvalue()


def test_a_log_hears_nothing_of_reading(told: io.StringIO) -> None:
    with reading(Console(file=told, width=80)) as step:
        step(3, 3)
    assert told.getvalue() == ""


def test_a_skipped_file_is_one_line_whatever_its_name_holds(told: io.StringIO) -> None:
    what = f"[scan] {'x' * 90}.png is empty"
    tell_skipped(((Path("-"), what),), Console(file=told, width=80))
    assert told.getvalue() == f"skipped: {what}\n"
