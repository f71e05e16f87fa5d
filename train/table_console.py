"""The console that tables are printed to."""

from __future__ import annotations

from rich.console import Console

PIPED_COLUMNS = 200
"""A program that reads a pipe gets whole rows, not rows that are folded at 80 columns."""


def table_console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for any row where there is none."""
    return Console(width=None if Console().is_terminal else PIPED_COLUMNS)
