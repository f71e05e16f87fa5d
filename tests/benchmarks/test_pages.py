from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pages import marks, put
from pneumo_edge.errors import PneumoEdgeError


def test_a_table_takes_the_place_of_the_one_before_and_nothing_else_changes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (begin, end), (other, closed) = marks("one"), marks("one, more")
    page.write_text(
        f"# Ä\n{begin}\n| old |\n| row |\n{end}\nmid\n{other}\nkept\n{closed}\n", "utf-8"
    )
    for _ in range(2):
        put(page, "one", ["| new |"])
        assert page.read_text("utf-8") == (
            f"# Ä\n{begin}\n| new |\n{end}\nmid\n{other}\nkept\n{closed}\n"
        )


@pytest.mark.parametrize(
    "text", ["", "<!-- begin one -->\n", "<!-- end one -->\n<!-- begin one -->\n"]
)
def test_a_page_without_its_marks_stays_as_it_is(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    with pytest.raises(PneumoEdgeError, match="no place for the table one"):
        put(page, "one", ["| new |"])
    assert page.read_text("utf-8") == text


def test_a_page_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PneumoEdgeError, match="cannot be rewritten"):
        put(tmp_path / "none.md", "one", [])
