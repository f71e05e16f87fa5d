"""The built wheel, installed by itself on what could be a device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FORBIDDEN = ("tensorflow", "keras", "scikit-learn", "scipy", "matplotlib", "torch")


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class Device:
    """An environment with the wheel and its dependencies, and nothing else."""

    bin: Path
    home: Path
    """An empty folder that commands run in."""

    @property
    def env(self) -> dict[str, str]:
        """The environment without what would lead to the checkout, or to another bundle."""
        hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PNEUMO_EDGE_BUNDLE"}
        return {key: value for key, value in os.environ.items() if key not in hidden}


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", out, root, cwd=out)
    (built,) = out.glob("pneumo_edge-*.whl")
    return built


@pytest.fixture(scope="module")
def manifest(root: Path) -> dict[str, Any]:
    """Of the bundle that ships."""
    path = root / "pneumo_edge" / "bundles" / "default" / "manifest.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def device(wheel: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    home = tmp_path_factory.mktemp("device")
    venv.create(home / "env", with_pip=True)
    binaries = home / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip = (
        binaries / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--constraint",
        root / "constraints.txt",
    )
    run(*pip, wheel, cwd=home)
    return Device(binaries, home)


def test_the_wheel_carries_every_stage_and_its_data(wheel: Path, root: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    stages = [root / stage for stage in ("pneumo_edge", "train", "convert", "benchmarks")]
    files = [path for stage in stages for path in stage.rglob("*") if path.is_file()]
    there = {path.relative_to(root).as_posix() for path in files if "__pycache__" not in path.parts}
    assert not there - names
    assert {"pneumo_edge/samples/normal.png", "pneumo_edge/samples/pneumonia.png"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_wheel_carries_the_bundle_that_ships(wheel: Path, manifest: dict[str, Any]) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    files = ("manifest.json", *manifest["files"])
    assert {f"pneumo_edge/bundles/default/{name}" for name in files} <= names


def test_the_wheel_carries_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    stages = {"pneumo_edge", "train", "convert", "benchmarks", "firmware_host"}
    assert {top for top in tops if not top.endswith(".dist-info")} <= stages


def test_a_device_gets_no_training_library(device: Device) -> None:
    listed = run(device.bin / "python", "-m", "pip", "list", "--format=json", cwd=device.home)
    installed = {package["name"].lower() for package in json.loads(listed)}
    assert "pneumo-edge" in installed
    assert not [name for name in installed if name.startswith(FORBIDDEN)]


@pytest.mark.parametrize("label", ["normal", "pneumonia"])
def test_a_device_screens_a_sample_from_another_folder(
    device: Device, label: str, manifest: dict[str, Any]
) -> None:
    code = "import pneumo_edge; print(*pneumo_edge.__path__)"
    package = Path(run(device.bin / "python", "-c", code, cwd=device.home, env=device.env).strip())
    assert device.home in package.parents
    film = package / "samples" / f"{label}.png"
    program = device.bin / "pneumo-edge"
    found = json.loads(run(program, "infer", film, "--json", cwd=device.home, env=device.env))
    (finding,) = found if isinstance(found, list) else [found]
    assert finding["error"] is None
    assert finding["label"] == label
    assert finding["bundle"] == manifest["id"]
    votes = {member["name"]: member["probability"] for member in finding["members"]}
    fused = manifest["bias"] + sum(m["weight"] * votes[m["name"]] for m in manifest["members"])
    # The head fuses in float32, and the JSON is rounded for reading.
    assert finding["y"] == pytest.approx(fused, abs=1e-4)
    assert (finding["y"] > finding["threshold"]) == (label == "pneumonia")


def test_a_device_that_is_asked_to_train_is_told_which_extra_is_missing(device: Device) -> None:
    done = subprocess.run(
        [str(device.bin / "pneumo-edge"), "train", "fit"],
        cwd=device.home,
        env=device.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pneumo-edge[train]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_lists_every_command(device: Device) -> None:
    listed = run(device.bin / "pneumo-edge", "--help", cwd=device.home, env=device.env)
    for name in ("infer", "bundle", "doctor", "train", "convert", "bench"):
        assert name in listed


def test_a_device_examines_itself(device: Device, manifest: dict[str, Any]) -> None:
    assert manifest["id"] in run(
        device.bin / "pneumo-edge", "doctor", cwd=device.home, env=device.env
    )
