"""One self-contained HTML page: headings, tables and pictures, with nothing to fetch."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 70rem; padding: 1.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .6rem; border-bottom: 1px solid #ccc; padding-bottom: .2rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem; }
nav { background: #f4f5f7; padding: .6rem 1rem; border-radius: .4rem; font-size: .92rem; }
nav a { margin-right: 1.1rem; white-space: nowrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e2e2e2; text-align: right; white-space: nowrap; }
th { background: #f4f5f7; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child { text-align: left; }
td small { color: #555; }
figure { margin: 1rem 0 1.6rem; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { color: #333; font-size: .92rem; max-width: 60rem; margin-top: .3rem; }
.remark { background: #fff6e0; border-left: .25rem solid #e0a100; padding: .5rem .9rem; margin: .8rem 0; }
.key { background: #eef4fb; border-left: .25rem solid #0072b2; padding: .5rem .9rem; margin: .8rem 0; }
@media print { nav { display: none; } figure, table { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Html:
    """Text that is markup already; any other text is escaped before it goes onto the page."""

    markup: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading and what stands under it."""

    anchor: str
    title: str
    parts: tuple[Html, ...]


def text(value: str | Html) -> str:
    """A cell's or a sentence's markup."""
    return value.markup if isinstance(value, Html) else escape(value)


def paragraph(value: str | Html, kind: str = "") -> Html:
    """A paragraph; `kind` remark or key sets it off."""
    return Html(f'<p class="{kind}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>")


def subheading(value: str) -> Html:
    """A heading inside a chapter."""
    return Html(f"<h3>{escape(value)}</h3>")


def table(heading: Sequence[str], rows: Sequence[Sequence[str | Html]], caption: str) -> Html:
    """A table whose caption says what its numbers are."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heading)
    body = "".join(
        f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>\n" for row in rows
    )
    return Html(
        f'<figure><div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div><figcaption>{escape(caption)}</figcaption></figure>"
    )


def picture(svg: str, alt: str, caption: str) -> Html:
    """An SVG inside the page, with its caption; as an image, so that ids of two do not meet."""
    data = base64.b64encode(svg.encode()).decode()
    return Html(
        f'<figure><img alt="{escape(alt)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def page(title: str, opening: Sequence[Html], chapters: Sequence[Chapter]) -> str:
    """The whole page.

    Args:
        title: Of the window, and the first heading.
        opening: What stands before the table of contents.
        chapters: Each gets a place in it.
    """
    contents = "".join(f'<a href="#{c.anchor}">{escape(c.title)}</a> ' for c in chapters)
    body = "\n".join(
        f'<section id="{c.anchor}"><h2>{escape(c.title)}</h2>\n'
        + "\n".join(part.markup for part in c.parts)
        + "</section>"
        for c in chapters
    )
    first = "\n".join(part.markup for part in opening)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{first}\n<nav>{contents}</nav>\n{body}\n</body></html>\n"
    )
