from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import roofline
from benchmarks.cli import app
from benchmarks.operations import count
from convert.work import Layer, Work
from pneumo_edge.bundle import load_bundle


@pytest.fixture(scope="module")
def works(shipped_bundle: Path) -> list[Work]:
    return count(load_bundle(shipped_bundle))


def test_the_bound_is_the_slower_of_arithmetic_and_memory() -> None:
    device = roofline.Device("a board", 1.0, 2.0, float32=False, reached=None)
    computing = Layer("CONV_2D", macs=10**6, weight_bytes=10, activation_bytes=10, values=20)
    moving = Layer("ADD", macs=0, weight_bytes=0, activation_bytes=4 * 10**6, values=4 * 10**6)
    assert roofline.bound_ms([computing], device) == pytest.approx(1.0)
    assert roofline.bound_ms([moving], device) == pytest.approx(2.0)
    assert roofline.bound_ms([computing, moving], device) == pytest.approx(3.0)


def test_no_estimate_is_below_the_bound_of_its_arithmetic(works: list[Work]) -> None:
    for device in roofline.DEVICES:
        for work in works:
            estimate = roofline.estimate_ms(work, device)
            assert estimate is None or estimate > work.macs / device.gmacs / 1e6


def test_the_page_on_devices_is_what_the_commands_would_write(root: Path, tmp_path: Path) -> None:
    page = root / "docs" / "devices.md"
    copy = tmp_path / "devices.md"
    copy.write_bytes(page.read_bytes())
    shared = str(root / "docs" / "devices")
    for command in (["operations"], ["roofline"], ["devices", shared]):
        done = CliRunner().invoke(app, [*command, "--page", str(copy)])
        assert done.exit_code == 0, done.output
    assert copy.read_text("utf-8") == page.read_text("utf-8"), (
        "run pneumo-edge bench operations, bench roofline and bench devices with --page docs/devices.md"
    )
