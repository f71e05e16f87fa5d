"""What was measured is kept, and not believed where it was not measured here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import msgspec
import pytest

from pneumo_edge import choice
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.choice import Choice, Trial
from pneumo_edge.errors import PneumoEdgeError


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


def trial(engine: choice.Measured, load: float, film: float, side: int = 1) -> Trial:
    return Trial(
        engine=engine,
        threads=1,
        side_by_side=side,
        load_ms=load,
        film_ms=film,
        members_ms={"vgg16": film},
        orders={},
        y=[0.25, 0.75],
    )


SLOW_TO_LOAD, QUICK_TO_LOAD = trial("openvino", 5000, 20), trial("cpu", 500, 40)
SIDE_BY_SIDE = trial("cpu", 500, 35, side=2)


def measured(bundle: Bundle) -> Choice:
    trials = [SLOW_TO_LOAD, QUICK_TO_LOAD, SIDE_BY_SIDE]
    return Choice(choice.key(bundle), "2026-11-22T00:00:00+00:00", trials, [])


def test_it_is_read_back_as_it_was_kept(bundle: Bundle, own_cache: Path) -> None:
    assert choice.read(bundle) is None
    kept = measured(bundle)
    assert choice.write(kept, bundle).parent == own_cache
    assert choice.read(bundle) == kept
    assert [path.name for path in own_cache.iterdir()] == [f"choice-{bundle.id}.json"]


def foreign(field: str, value: object) -> bytes:
    kept = msgspec.to_builtins(measured(load_bundle()))
    kept["key"][field] = value
    return json.dumps(kept).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda _: b"\xff\xfe not json",
        lambda _: b"[]",
        lambda _: foreign("version", choice.VERSION + 1),
        lambda _: foreign("bundle", "0123456789ab"),
        lambda _: foreign("machine", "Abacus, wood"),
        lambda _: foreign("cores", 4096),
        lambda _: foreign("engines", {"cpu": "0.0.1"}),
        lambda whole: whole.replace(b'"film_ms"', b'"film_s"'),
    ],
)
def test_a_torn_or_foreign_file_is_ignored_and_written_anew(bundle: Bundle, spoil: object) -> None:
    path = choice.write(measured(bundle), bundle)
    assert callable(spoil)
    path.write_bytes(spoil(path.read_bytes()))
    assert choice.read(bundle) is None
    choice.write(measured(bundle), bundle)
    assert choice.read(bundle) == measured(bundle)


def test_a_folder_that_cannot_be_written_is_refused_with_its_remedy(
    bundle: Bundle, own_cache: Path
) -> None:
    own_cache.write_text("a file stands where the folder belongs")
    assert choice.read(bundle) is None
    with pytest.raises(PneumoEdgeError, match=choice.ENVIRONMENT):
        choice.write(measured(bundle), bundle)


def test_the_best_is_the_first_to_be_done_loading_included(bundle: Bundle) -> None:
    kept = measured(bundle)
    assert kept.best("auto", 1, early_exit=False) == SIDE_BY_SIDE
    assert kept.best("auto", 1, early_exit=True) == QUICK_TO_LOAD
    assert kept.best("auto", 1000, early_exit=False) == SLOW_TO_LOAD
    assert kept.best("openvino", 1, early_exit=False) == SLOW_TO_LOAD
    assert kept.best("gpu", 1, early_exit=False) is None


@pytest.mark.skipif(os.name != "posix", reason="XDG is of Unix")
def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(choice.ENVIRONMENT)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert choice.folder() == Path("/caches/pneumo-edge")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert choice.folder() == Path("/home/someone/.cache/pneumo-edge")
