"""The device install, run as a Raspberry Pi 4 (Cortex-A72) and 5 (Cortex-A76) would run it, under QEMU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

MAIN = "from pneumo_edge.cli import main; main()"


@dataclass(frozen=True)
class Case:
    processor: str
    engine: str
    atol: float
    """How far y and each member's probability may lie from those of the engine cpu on x86."""
    why: str


CASES = (
    Case(
        "cortex-a72",
        "cpu",
        2e-4,
        "XNNPACK requantizes int8 alike on both; the head adds in float32 in another order, and JSON "
        "has four decimals",
    ),
    Case("cortex-a76", "cpu", 2e-4, "as on a Cortex-A72, with the dot product instructions"),
    Case(
        "cortex-a72",
        "tflite-runtime",
        0.1,
        "its kernels are not XNNPACK's: they round each layer's int8 otherwise, by up to one step",
    ),
)


@dataclass(frozen=True)
class Boards:
    """Where the emulated boards lie."""

    folder: Path

    @property
    def emulator(self) -> str:
        return shutil.which("qemu-aarch64-static") or str(self.folder / "bin/qemu-aarch64-static")

    def run(self, case: Case, *arguments: str) -> str:
        """Standard output of `pneumo-edge` on a board."""
        root = self.folder / "root"
        site = self.folder / case.engine
        command = [
            self.emulator,
            "-cpu",
            case.processor,
            "-L",
            str(root),
            f"{root}/usr/bin/python3",
        ]
        done = subprocess.run(
            [*command, "-c", MAIN, *arguments],
            env={"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(site)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def boards(root: Path) -> Boards:
    made = subprocess.run(
        [str(root / ".ci" / "arm64-tools")],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        last = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"no Arm board can be emulated here: {last}")
    return Boards(root / ".tools" / "arm64")


@pytest.fixture(scope="module")
def expected(film: str) -> dict[str, Any]:
    """What the engine cpu says on this machine."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "infer", film, "--json", "--engine", "cpu"],
        env={k: v for k, v in os.environ.items() if k != "PNEUMO_EDGE_BUNDLE"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def film(root: Path) -> str:
    # The normal one: the members are less sure of it, so that a difference shows.
    return str(root / "pneumo_edge" / "samples" / "normal.png")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.processor}-{case.engine}")
def test_a_board_answers_as_x86_does(
    case: Case, boards: Boards, film: str, expected: dict[str, Any]
) -> None:
    if not (boards.folder / case.engine).is_dir():
        pytest.skip(f"{case.engine} has no wheel for the Python of this Debian")
    options = ("--engine", case.engine, "--threads", "1")
    found = json.loads(boards.run(case, "infer", film, "--json", *options))
    assert found["engine"] == case.engine
    assert found["bundle"] == expected["bundle"]
    assert found["label"] == expected["label"]
    assert found["y"] == pytest.approx(expected["y"], abs=case.atol), case.why
    votes = {member["name"]: member["probability"] for member in found["members"]}
    wanted = {member["name"]: member["probability"] for member in expected["members"]}
    assert votes == pytest.approx(wanted, abs=case.atol), case.why
