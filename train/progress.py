"""Progress on a terminal: a bar for what is read, a bar for what is trained, a line per epoch elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from train.watch import Progress


@contextmanager
def reading(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show how many films are read.

    Yields:
        What to call with the number of further films, and of all.
    """
    with Bar(
        TextColumn("reading films"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)

        def step(count: int, total: int) -> None:
            bar.update(task, total=total, advance=count)

        yield step


@contextmanager
def training(title: str, console: Console) -> Iterator[Callable[[Progress], None]]:
    """Show how far a training is.

    Yields:
        What to call after every batch.
    """
    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task(title, total=None, loss=float("nan"))

        def show(at: Progress) -> None:
            done = (at.epoch - 1) * at.batches + at.batch
            bar.update(task, total=at.epochs * at.batches, completed=done, loss=at.loss)
            if at.batch == at.batches and not console.is_terminal:
                console.print(f"{title}: epoch {at.epoch}/{at.epochs}, loss {at.loss:.4f}")

        yield show


def tell_skipped(skipped: tuple[tuple[object, str], ...], console: Console) -> None:
    """A line for every file that could not be read."""
    for _, what in skipped:
        console.print(f"skipped: {what}", highlight=False, markup=False, soft_wrap=True)
