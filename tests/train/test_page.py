from __future__ import annotations

import base64
import re

from train.page import Chapter, Html, page, paragraph, picture, table

SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


def test_text_is_escaped_and_markup_is_kept() -> None:
    made = table(["<a>", "b"], [["x < y", Html("<small>1</small>")]], "n & m")
    assert "&lt;a&gt;" in made.markup
    assert "<td>x &lt; y</td><td><small>1</small></td>" in made.markup
    assert "<figcaption>n &amp; m</figcaption>" in made.markup
    assert paragraph('"<i>"', "remark").markup == '<p class="remark">&quot;&lt;i&gt;&quot;</p>'


def test_a_picture_is_inside_the_page() -> None:
    made = picture(SVG, 'a "b"', "what it shows")
    found = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', made.markup)
    assert found is not None
    assert base64.b64decode(found[1]).decode() == SVG
    assert 'alt="a &quot;b&quot;"' in made.markup


def test_each_chapter_is_in_the_contents() -> None:
    chapters = [Chapter("one", "First & more", (paragraph("x"),)), Chapter("two", "Second", ())]
    made = page("A title", [paragraph("before")], chapters)
    links = re.findall(r'<a href="#(\w+)">([^<]+)</a>', made)
    assert links == [("one", "First &amp; more"), ("two", "Second")]
    for anchor, title in links:
        assert f'<section id="{anchor}"><h2>{title}</h2>' in made
    assert made.index("before") < made.index("<nav>") < made.index("<section")
