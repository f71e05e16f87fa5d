"""`pneumo-edge bundle`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pneumo_edge.bundle import load_bundle

Cli = Callable[..., Any]


def test_show_tells_what_it_is(cli: Cli) -> None:
    bundle = load_bundle()
    ran = cli("bundle", "show")
    assert ran.code == 0
    for text in (bundle.id, "vgg16", "xception", "paper 0.500", "not a medical device"):
        assert text in ran.out
    assert json.loads(cli("bundle", "show", "--json").out)["id"] == bundle.id


def test_verify_says_ok_or_what_is_wrong(cli: Cli, tmp_path: Path) -> None:
    ran = cli("bundle", "verify")
    assert ran.code == 0
    assert load_bundle().id in ran.out
    ran = cli("bundle", "verify", tmp_path)
    assert ran.code == 1
    assert "manifest.json is missing; to fix it, " in ran.err
