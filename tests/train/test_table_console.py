from __future__ import annotations

import pytest

from train.table_console import PIPED_COLUMNS, table_console


def test_a_pipe_gets_rows_that_are_not_folded(capsys: pytest.CaptureFixture[str]) -> None:
    table_console().print("x" * PIPED_COLUMNS)
    assert capsys.readouterr().out == "x" * PIPED_COLUMNS + "\n"
