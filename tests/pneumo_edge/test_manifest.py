"""The manifest's own checks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pneumo_edge.bundle import load_bundle
from pneumo_edge.manifest import (
    CARD,
    MEMBER_NAMES,
    Band,
    BandFigures,
    Indeterminate,
    Manifest,
    Measure,
    answer_id,
)


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


def test_what_an_older_bundle_lacks_is_left_out_so_that_its_id_stays() -> None:
    manifest = msgspec.structs.replace(load_bundle().manifest, indeterminate=None, band_figures=[])
    assert not {"indeterminate", "band_figures"} & set(msgspec.to_builtins(manifest))


NOTHING = Measure(value=0.0, low=0.0, high=0.0)
ROW = BandFigures(
    precision="int8", split="test", operating_point="paper", n=9, inside=NOTHING, error=NOTHING,
    error_normal=NOTHING, error_pneumonia=NOTHING,
)  # fmt: skip


def test_the_id_is_a_digest_of_what_decides_an_answer() -> None:
    manifest = load_bundle().manifest
    told = {
        "figures": [],
        "parity": [],
        "provenance": {},
        "created": "1999-01-01",
        "files": {**manifest.files, CARD: "0" * 64},
        "band_figures": [ROW],
    }
    decides = {
        "bias": manifest.bias + 1e-6,
        "operating_points": {"paper": 0.5},
        "evaluation_order": manifest.evaluation_order[::-1],
        "files": {**manifest.files, manifest.head: "0" * 64},
        "indeterminate": Indeterminate(
            error_rate=0.02, films={"held-out": 9}, bands={"paper": Band(low=0.123, high=0.9)}
        ),
    }
    ids = {answer_id(msgspec.structs.replace(manifest, **{k: v})) for k, v in told.items()}
    assert ids == {manifest.id}
    others = {answer_id(msgspec.structs.replace(manifest, **{k: v})) for k, v in decides.items()}
    assert len(others - {manifest.id}) == len(decides)
