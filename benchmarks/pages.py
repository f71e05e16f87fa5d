"""Tables that a command puts into the documentation, between a pair of comments that name it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pneumo_edge.errors import PneumoEdgeError

PageOption = Annotated[
    Path | None,
    typer.Option("--page", help="Put the tables into this Markdown page too, between their marks."),
]


def marks(name: str) -> tuple[str, str]:
    """What stands before and after a table on a page."""
    return f"<!-- begin {name} -->", f"<!-- end {name} -->"


def put(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what a page has under that name.

    Raises:
        PneumoEdgeError: the page cannot be read or written, or lacks the marks.
    """
    begin, end = marks(name)
    try:
        before, found, rest = page.read_text(encoding="utf-8").partition(f"{begin}\n")
        _, closed, after = rest.partition(f"{end}\n")
        if not found or not closed:
            raise PneumoEdgeError(
                f"{page} has no place for the table {name}",
                f"put the lines {begin} and {end} where it belongs",
            )
        page.write_text(
            "".join([before, found, *(f"{x}\n" for x in lines), end, "\n", after]), "utf-8"
        )
    except (OSError, UnicodeDecodeError) as err:
        raise PneumoEdgeError(f"{page} cannot be rewritten ({err})", "name a page") from None
