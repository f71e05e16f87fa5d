from __future__ import annotations

import io
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.errors import RecipeError
from pneumo_edge.held_out import FILE
from pneumo_edge.manifest import MEMBER_NAMES
from train.held_out import held_out_of_bundle, held_out_of_run
from train.recipe import load_recipe
from train.run import Predictions, Run


def bundle_with(content: bytes | None, folder: Path, shipped: Path) -> Bundle:
    """The shipped manifest in a folder that holds no more than that file, or not even it."""
    manifest = load_bundle(shipped).manifest
    files = {name: digest for name, digest in manifest.files.items() if name != FILE}
    if content is not None:
        (folder / FILE).write_bytes(content)
        files[FILE] = "0" * 64
    return Bundle(folder, msgspec.structs.replace(manifest, files=files), "")


def packed(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def test_a_bundle_brings_its_held_out_predictions(tmp_path: Path, shipped_bundle: Path) -> None:
    p = np.random.default_rng(1).random((6, 4)).astype(np.float32)
    labels = np.array([0, 1, 1, 0, 1, 0], np.uint8)
    content = packed(probabilities=p, labels=labels)
    told = held_out_of_bundle(bundle_with(content, tmp_path, shipped_bundle))
    assert told is not None
    np.testing.assert_array_equal(told.probabilities, p.astype(np.float64))
    assert told.labels.tolist() == labels.tolist()
    assert told.patients is None


def test_a_bundle_without_them_has_none(tmp_path: Path, shipped_bundle: Path) -> None:
    assert held_out_of_bundle(bundle_with(None, tmp_path, shipped_bundle)) is None


def test_a_run_without_a_members_predictions_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write("recipe.json", load_recipe("paper"))
    predictions = Predictions(
        films=["normal/a", "pneumonia/b"], patients=["a", "b"], labels=[0, 1], probabilities=[0, 1]
    )
    for name in MEMBER_NAMES:
        run.write(f"{name}/fold-0/held_out.json", predictions)
        (run.member(name, "0") / "model.keras").touch()
    told = held_out_of_run(run)
    assert told.probabilities.tolist() == [[0] * 4, [1] * 4]
    assert told.patients is not None
    (run.member("resnet50", "0") / "held_out.json").unlink()
    with pytest.raises(RecipeError, match=r"has no resnet50/fold-0/held_out\.json"):
        held_out_of_run(run)
