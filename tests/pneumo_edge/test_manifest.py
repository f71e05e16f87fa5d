"""The manifest's own checks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pneumo_edge.bundle import load_bundle
from pneumo_edge.manifest import MEMBER_NAMES, Manifest


@pytest.fixture
def raw() -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(load_bundle().manifest)
    return found


def test_it_survives_its_own_encoding() -> None:
    manifest = load_bundle().manifest
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest) == manifest
    assert tuple(member.name for member in manifest.members) == MEMBER_NAMES


def test_a_hash_has_64_digits(raw: dict[str, Any]) -> None:
    raw["files"]["head.tflite"] = "abc"
    with pytest.raises(msgspec.ValidationError, match="regex"):
        msgspec.convert(raw, Manifest)


def test_an_unknown_field_is_named(raw: dict[str, Any]) -> None:
    raw["members"][0]["waight"] = 1.0
    with pytest.raises(msgspec.ValidationError, match="waight"):
        msgspec.convert(raw, Manifest)
