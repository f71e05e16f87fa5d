"""A bar on standard error while a person watches many images go by."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pneumo_edge import sources


class Advance(Protocol):
    """Says that one more image is done."""

    def __call__(self) -> None: ...


def _nothing() -> None:
    """Nobody watches."""


@contextmanager
def bar(arguments: list[str]) -> Iterator[Advance]:
    """Show a bar where both outputs are a terminal and there is more than one image.

    Folders are counted first, without keeping a name.
    """
    watched = sys.stdout.isatty() and sys.stderr.isatty()
    if not watched or sources.is_single(arguments) or sources.STDIN in arguments:
        yield _nothing
        return
    # rich costs a tenth of a second, which one image must not pay.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    total = sum(1 for _ in sources.expand(arguments))
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("screening", total=total)
        yield lambda: progress.advance(task)
