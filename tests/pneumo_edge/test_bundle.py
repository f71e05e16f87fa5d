"""A bundle is refused for what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pneumo_edge.bundle import ENVIRONMENT, default_bundle, load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BundleError
from pneumo_edge.manifest import Manifest, answer_id
from pneumo_edge.types import SIDE, InputTensor

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def copy(bundle_dir: Path, tmp_path: Path) -> Path:
    """The shipped bundle, as links that a test replaces by what it breaks."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for file in bundle_dir.iterdir():
        (folder / file.name).symlink_to(file.resolve())
    return folder


def edit_manifest(folder: Path, edit: Edit, *, sign: bool = True) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    if sign:  # so that what is tested is the check behind the id's
        with suppress(msgspec.ValidationError):
            manifest["id"] = answer_id(msgspec.convert(manifest, Manifest))
    path.unlink()
    path.write_text(json.dumps(manifest))


def replace(folder: Path, name: str, data: bytes) -> None:
    (folder / name).unlink()
    (folder / name).write_bytes(data)


def test_the_shipped_bundle_loads(bundle_dir: Path) -> None:
    bundle = load_bundle()
    assert bundle.path == bundle_dir
    assert bundle.threshold("paper") == 0.5


def test_the_environment_names_another_bundle(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(copy))
    assert default_bundle() == copy


def test_a_zip_answers_as_its_folder_does(copy: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in copy.iterdir():
            archive.write(file, f"nested/{file.name}")
    grey = np.random.default_rng(5).integers(0, 256, (1, SIDE, SIDE, 1)).astype(np.uint8)
    tensor = InputTensor(grey)
    engine = choose("auto")
    scores = [Ensemble(load_bundle(place), engine, 1).score(tensor) for place in (copy, path)]
    assert [m.logit for m in scores[0].members] == [m.logit for m in scores[1].members]
    assert scores[0].y == scores[1].y


@pytest.mark.parametrize("name", ["vgg16.tflite", "head.tflite", "MODEL_CARD.md"])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_bundle(copy)


def test_an_altered_threshold_is_noticed(copy: Path) -> None:
    edit_manifest(copy, lambda m: m["operating_points"].update(screening=0.35), sign=False)
    with pytest.raises(BundleError, match=r"manifest\.json was altered"):
        load_bundle(copy)


def test_a_truncated_file_is_named(copy: Path) -> None:
    replace(copy, "head.tflite", (copy / "head.tflite").read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"head\.tflite was altered or cut off"):
        load_bundle(copy)


def test_an_altered_file_is_named(copy: Path) -> None:
    data = bytearray((copy / "head.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    replace(copy, "head.tflite", bytes(data))
    with pytest.raises(BundleError, match=r"head\.tflite was altered or cut off"):
        load_bundle(copy)


def first_member(field: str, value: object) -> Edit:
    def edit(manifest: dict[str, Any]) -> None:
        manifest["members"][0][field] = value

    return edit


def band(point: str, low: float, high: float) -> Edit:
    def edit(manifest: dict[str, Any]) -> None:
        bands = {point: {"low": low, "high": high}}
        manifest["indeterminate"] = {"error_rate": 0.02, "films": {}, "bands": bands}

    return edit


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda m: m.update(schema=99), "has schema version 99, this version reads 1"),
        (lambda m: m.pop("schema"), "has schema version None"),
        (lambda m: m.pop("bias"), "missing required field `bias`"),
        (lambda m: m.update(extra=1), "unknown field `extra`"),
        (first_member("weight", float("nan")), r"has nan at members\[0\]\.weight"),
        (first_member("weight", float("inf")), r"has inf at members\[0\]\.weight"),
        (first_member("weight", "much"), r"members\[0\]\.weight"),
        (first_member("name", "vgg61"), "has members .'vgg61'"),
        (first_member("file", "vgg61.tflite"), "no hash for vgg61.tflite"),
        (lambda m: m["members"].pop(), "has members"),
        (lambda m: m["evaluation_order"].pop(), "evaluation order"),
        (lambda m: m["operating_points"].update(paper=0.4), "paper has to be 0.5"),
        (lambda m: m["files"].update({"../x": "0" * 64}), "outside the bundle"),
        (lambda m: m["files"].update({"head.tflite": "0" * 63}), "files"),
        (lambda m: m["input"].update(rows=224), "input of 224 x 150"),
        (band("paper", 0.51, 0.6), "a band 0.51 to 0.6 for the operating point paper at 0.5"),
        (band("paper", 0.6, 0.4), "a band 0.6 to 0.4"),
        (band("lucky", 0.4, 0.6), "for the operating point lucky at None"),
        (band("paper", 0.4, float("nan")), "has nan at indeterminate.bands.paper.high"),
    ],
)
def test_a_wrong_manifest_is_refused(copy: Path, edit: Edit, says: str) -> None:
    edit_manifest(copy, edit)
    with pytest.raises(BundleError, match=says):
        load_bundle(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", "[" * 100_000])
def test_what_is_no_manifest_is_refused(copy: Path, text: str) -> None:
    replace(copy, "manifest.json", text.encode())
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(copy)


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle at"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"manifest\.json is missing"):
        load_bundle(tmp_path)
    text = tmp_path / "text.zip"
    text.write_text("no archive")
    with pytest.raises(BundleError, match=r"neither a folder nor a readable \.zip"):
        load_bundle(text)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(BundleError, match=r"holds no manifest\.json"):
        load_bundle(tmp_path / "other.zip")


def test_a_damaged_zip_is_refused(copy: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in ("manifest.json", "head.tflite"):
            archive.write(copy / name, name)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match=r"readable \.zip"):
        load_bundle(path)
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"cannot be read|altered|missing"):
        load_bundle(path)


def test_an_unknown_operating_point_is_refused_with_those_there_are() -> None:
    with pytest.raises(BundleError, match="choose one of paper"):
        load_bundle().threshold("lucky")


def test_a_manifest_whose_weights_are_not_the_head_s_is_refused(copy: Path) -> None:
    edit_manifest(copy, lambda m: m["members"][1].update(weight=m["members"][1]["weight"] + 0.01))
    with pytest.raises(BundleError, match="the head's weight of vgg19 is"):
        Ensemble(load_bundle(copy), choose("auto"), 1)


def test_a_nan_weight_in_the_head_is_refused(copy: Path) -> None:
    bias = struct.pack("<f", json.loads((copy / "manifest.json").read_text())["bias"])
    data = (copy / "head.tflite").read_bytes()
    assert bias in data
    broken = data.replace(bias, struct.pack("<f", float("nan")))
    replace(copy, "head.tflite", broken)
    digest = hashlib.sha256(broken).hexdigest()
    edit_manifest(copy, lambda m: m["files"].update({"head.tflite": digest}))
    with pytest.raises(BundleError, match="nan"):
        Ensemble(load_bundle(copy), choose("auto"), 1)


def test_a_member_that_is_no_model_is_refused(copy: Path) -> None:
    replace(copy, "vgg16.tflite", b"no flatbuffer" * 100)
    digest = hashlib.sha256(b"no flatbuffer" * 100).hexdigest()
    edit_manifest(copy, lambda m: m["files"].update({"vgg16.tflite": digest}))
    ensemble = Ensemble(load_bundle(copy), choose("auto"), 1)
    with pytest.raises(BundleError, match=r"vgg16\.tflite is no model"):
        ensemble.load()


def test_a_member_with_another_input_is_refused(copy: Path) -> None:
    head = (copy / "head.tflite").read_bytes()
    replace(copy, "vgg16.tflite", head)
    digest = hashlib.sha256(head).hexdigest()
    edit_manifest(copy, lambda m: m["files"].update({"vgg16.tflite": digest}))
    ensemble = Ensemble(load_bundle(copy), choose("auto"), 1)
    with pytest.raises(BundleError, match=r"vgg16\.tflite takes"):
        ensemble.load()
