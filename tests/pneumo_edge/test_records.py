"""The public form of a finding and of a refusal."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from pneumo_edge.records import Record, encodable, record
from pneumo_edge.types import Finding, Interval, MemberScore, Refusal, Timings

MEMBER = MemberScore("vgg16", 0.9000001, 2.2, 12.34567)
FINDING = Finding(
    file="a.png",
    label="pneumonia",
    y=0.5000001,
    threshold=0.5,
    operating_point="paper",
    members=(MEMBER,),
    ms=Timings(1.00049, 2, 3, 6.00049),
    engine="cpu",
    bundle="0123456789ab",
)
EARLY = dataclasses.replace(FINDING, y=None, interval=Interval(0.6000001, 0.9))
DOUBTFUL = dataclasses.replace(FINDING, band=Interval(0.25, 0.7000001), indeterminate=True)
REFUSAL = Refusal("b.png", "b.png is empty (0 bytes)", "copy it again")


def as_json(outcome: Finding | Refusal) -> dict[str, object]:
    found: dict[str, object] = json.loads(msgspec.json.encode(record(outcome)))
    return found


@pytest.mark.parametrize(
    "outcome",
    [FINDING, EARLY, DOUBTFUL, REFUSAL],
    ids=["finding", "early", "indeterminate", "refusal"],
)
def test_the_schema_holds_and_has_every_field(outcome: Finding | Refusal, root: Path) -> None:
    schema = json.loads((root / "docs" / "finding.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(as_json(outcome))
    assert list(schema["properties"]) == list(Record.__struct_fields__)


def test_what_decides_is_not_rounded_and_times_are() -> None:
    found = as_json(FINDING)
    assert found["y"] == 0.5000001
    assert found["members"] == [{"name": "vgg16", "probability": 0.9000001, "ms": 12.346}]
    assert found["ms"] == {"decode": 1.0, "prepare": 2, "infer": 3, "total": 6.0}


def test_after_an_early_exit_there_is_an_interval_in_place_of_y(root: Path) -> None:
    found = as_json(EARLY)
    assert (found["y"], found["interval"]) == (None, {"low": 0.6000001, "high": 0.9})
    assert as_json(FINDING)["interval"] is None
    schema = json.loads((root / "docs" / "finding.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    assert not validator.is_valid(found | {"y": 0.7}), "both"
    assert not validator.is_valid(found | {"interval": None}), "neither"


def test_a_band_and_what_y_makes_of_it_come_together(root: Path) -> None:
    found = as_json(DOUBTFUL)
    assert (found["indeterminate"], found["band"]) == (True, {"low": 0.25, "high": 0.7000001})
    assert (as_json(FINDING)["indeterminate"], as_json(FINDING)["band"]) == (None, None)
    schema = json.loads((root / "docs" / "finding.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    assert not validator.is_valid(found | {"band": None})
    assert not validator.is_valid(found | {"indeterminate": None})


def test_a_refusal_has_null_in_every_other_field() -> None:
    found = as_json(REFUSAL)
    assert found.pop("file") == "b.png"
    assert found.pop("error") == {"what": REFUSAL.what, "remedy": REFUSAL.remedy}
    assert set(found.values()) == {None}


def test_the_schema_refuses_a_finding_with_an_error(root: Path) -> None:
    schema = json.loads((root / "docs" / "finding.schema.json").read_text(encoding="utf-8"))
    mixed = as_json(FINDING) | {"error": {"what": "a", "remedy": "b"}}
    assert not jsonschema.Draft202012Validator(schema).is_valid(mixed)


def test_a_lone_surrogate_becomes_text() -> None:
    assert encodable("a\udcff.png") == "a\\udcff.png"
    assert encodable("Jürgen") == "Jürgen"
