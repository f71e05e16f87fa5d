"""One run over several arguments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pneumo_edge.batch import Request, run
from pneumo_edge.bundle import load_ahead
from pneumo_edge.errors import BundleError


def request(*images: Path, point: str = "paper", bundle: Path | None = None) -> Request:
    return Request(
        images=tuple(map(str, images)),
        form="jsonl",
        csv=None,
        operating_point=point,
        engine="auto",
        threads=1,
        bundle=load_ahead(bundle),
    )


def test_it_says_whether_every_image_got_a_finding(
    film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(request(film, film))
    good = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["file"] for one in good] == [str(film)] * 2
    assert good[0]["y"] == good[1]["y"]
    assert not run(request(film, film.with_name("missing.png")))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_bad_bundle_stops_it_before_anything_is_put_out(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        run(request(film, bundle=tmp_path))
    with pytest.raises(BundleError, match="no operating point 'lucky'"):
        run(request(film, point="lucky"))
    assert capsys.readouterr().out == ""
