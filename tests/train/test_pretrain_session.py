from __future__ import annotations

from pathlib import Path

import pytest

from train.options import PretrainOptions, PretrainPlan
from train.pretrain_session import pretrain_members
from train.recipe import load_recipe


def test_films_are_read_counted_and_what_cannot_be_read_is_named(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    for film in sorted((data / "train").rglob("*.png")):
        for copy in "ab":
            (archive / f"{copy}-{film.name}").write_bytes(film.read_bytes())
    (archive / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    options = PretrainOptions(
        films=(archive,),
        out=tmp_path / "out",
        recipe="best",
        members=(),
        init="none",
        precision="float32",
    )

    done = pretrain_members(options, PretrainPlan(load_recipe("best"), (archive,), ()))

    told = capfd.readouterr().err
    assert done == []
    assert "64 films without labels; 1 skipped" in told
    assert "torn.png" in told
