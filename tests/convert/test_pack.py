from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from convert import pack
from pneumo_edge.errors import BundleError
from pneumo_edge.manifest import MEMBER_NAMES, SCHEMA_VERSION, InputContract, Manifest, Member

FILES = {"vgg16.tflite": b"sixteen", "head.tflite": b"head", "MODEL_CARD.md": b"# card"}


def manifest(files: dict[str, bytes]) -> Manifest:
    hashes = pack.digests(files)
    return Manifest(
        schema=SCHEMA_VERSION,
        id="0123456789ab",
        created="2025-01-01",
        files=hashes,
        input=InputContract(rows=150, cols=150, channels=1, dtype="uint8"),
        members=[Member(name=n, file=f"{n}.tflite", weight=0.25, scheme="s") for n in MEMBER_NAMES],
        bias=0.0,
        head="head.tflite",
        operating_points={"paper": 0.5},
        evaluation_order=list(MEMBER_NAMES),
        figures=[],
        parity=[],
        provenance={},
    )


def test_what_was_packed_can_be_read_back(tmp_path: Path) -> None:
    target = tmp_path / "new" / "bundle"
    pack.write(target, manifest(FILES), FILES)
    read = msgspec.json.decode((target / "manifest.json").read_bytes(), type=Manifest)
    assert read == manifest(FILES)
    assert {p.name: p.read_bytes() for p in target.iterdir() if p.name != "manifest.json"} == FILES
    assert [p.name for p in target.parent.iterdir()] == ["bundle"], "nothing else is left behind"


def test_a_hash_is_what_sha256sum_prints() -> None:
    assert pack.digests({"a": b"abc"}) == {
        "a": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }


def test_hashes_of_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hashes"):
        pack.write(tmp_path / "b", manifest(FILES), {**FILES, "head.tflite": b"changed"})
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    pack.write(target, manifest(FILES), FILES)
    other = {**FILES, "head.tflite": b"new head"}
    with pytest.raises(BundleError, match=r"exists.*--force"):
        pack.write(target, manifest(other), other)
    assert (target / "head.tflite").read_bytes() == b"head"
    pack.write(target, manifest(other), other, force=True)
    assert (target / "head.tflite").read_bytes() == b"new head"


def test_a_folder_that_is_no_bundle_is_not_replaced_even_by_force(tmp_path: Path) -> None:
    precious = tmp_path / "documents"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="no bundle"):
        pack.write(precious, manifest(FILES), FILES, force=True)
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_a_target_below_a_file_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"cannot write .*name a folder"):
        pack.write(tmp_path / "file" / "bundle", manifest(FILES), FILES)


def test_equal_bundles_make_equal_zips(tmp_path: Path) -> None:
    archives = []
    for place in ("one", "two"):
        target = tmp_path / place / "bundle"
        pack.write(target, manifest(FILES), FILES)
        archives.append(pack.write_zip(target).read_bytes())
    assert archives[0] == archives[1]


def test_the_manifest_is_text_for_people_too(tmp_path: Path) -> None:
    pack.write(tmp_path / "b", manifest(FILES), FILES)
    text = (tmp_path / "b" / "manifest.json").read_text()
    assert json.loads(text)["members"][0]["name"] == "vgg16"
    assert text.count("\n") > 20
