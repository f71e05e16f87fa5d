"""Films that nobody was harmed for, bundles of one's own, and the console script as pyproject names it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge import choice
from pneumo_edge.bundle import Bundle, default_bundle, load_bundle
from pneumo_edge.manifest import answer_id
from pneumo_edge.measure import SAMPLES


@dataclass(frozen=True, slots=True)
class Ran:
    """What one call of the console script left behind."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Call the function behind the `pneumo-edge` script, in this process."""
    (script,) = metadata.entry_points(group="console_scripts", name="pneumo-edge")
    main = script.load()

    def call(*arguments: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["pneumo-edge", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """What was measured on this machine decides no test, and no test leaves a measurement behind."""
    folder = tmp_path / "cache of pneumo-edge"
    monkeypatch.setenv(choice.ENVIRONMENT, str(folder))
    return folder


@pytest.fixture
def bundle_with(tmp_path: Path, bundle_dir: Path) -> Callable[[dict[str, bytes]], Bundle]:
    """The bundle that ships, with files added or replaced, and its manifest true to them."""

    def make(files: dict[str, bytes]) -> Bundle:
        place = tmp_path / "bundle"
        place.mkdir()
        manifest = load_bundle(bundle_dir).manifest
        for name in manifest.files:
            (place / name).symlink_to(bundle_dir / name)
        hashes = dict(manifest.files)
        for name, data in files.items():
            (place / name).unlink(missing_ok=True)
            (place / name).write_bytes(data)
            hashes[name] = hashlib.sha256(data).hexdigest()
        manifest = msgspec.structs.replace(manifest, files=hashes)
        manifest = msgspec.structs.replace(manifest, id=answer_id(manifest))
        (place / "manifest.json").write_bytes(msgspec.json.encode(manifest))
        return load_bundle(place)

    return make


@pytest.fixture
def bundle_dir() -> Path:
    """The bundle that ships."""
    return default_bundle()


@pytest.fixture
def grey() -> NDArray[np.uint8]:
    """(180, 240): a sample, which the gate of any bundle lets through."""
    sample = cv2.imread(str(SAMPLES / "normal.png"), cv2.IMREAD_GRAYSCALE)
    assert sample is not None
    return cv2.resize(sample, (240, 180), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


@pytest.fixture
def film(tmp_path: Path, grey: NDArray[np.uint8]) -> Path:
    """A PNG of `grey`."""
    path = tmp_path / "film.png"
    assert cv2.imwrite(str(path), grey)
    return path
