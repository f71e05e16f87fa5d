"""The reports that the page on devices shows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import devices
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.manifest import MEMBER_NAMES

SHARED = "docs/devices"


def test_every_candidate_has_its_row_and_every_device_its_machine(root: Path) -> None:
    reports = devices.read_all(root / SHARED)
    lines = devices.table(reports, "devices")
    for device, report in reports.items():
        rows = [line.split(" | ") for line in lines if line.startswith(f"| {device} | ")]
        assert [row[1] for row in rows] == [one.name for one in report.candidates]
        for row, one in zip(rows, report.candidates, strict=True):
            assert one.ensemble_ms is not None
            assert row[2 + len(MEMBER_NAMES)] == f"{one.ensemble_ms.p50:.1f}"
        (told,) = [line for line in lines if line.startswith(f"- [{device}]")]
        assert report.machine.cpu in told
        assert report.bundle in told
        for card in filter(None, (one.card for one in report.candidates)):
            assert card in told


def test_what_was_interrupted_leaves_its_cells_empty(root: Path) -> None:
    device, report = next(iter(devices.read_all(root / SHARED).items()))
    one = msgspec.structs.replace(report.candidates[0], members={}, ensemble_ms=None)
    cut = msgspec.structs.replace(report, candidates=[one], throughput=[], threads=4)
    lines = devices.table({device: cut}, "devices")
    assert lines[2] == f"| {device} | {one.name} |{'  |' * 7} {one.peak_mib:.0f} |"
    assert "4 threads" in lines[-1]


def test_a_folder_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PneumoEdgeError, match="has no report"):
        devices.read_all(tmp_path)
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(PneumoEdgeError, match=r"a\.json is no benchmark of this version"):
        devices.read_all(tmp_path)
