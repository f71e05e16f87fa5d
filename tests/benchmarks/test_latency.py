from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.cli import app
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import PneumoEdgeError


def test_a_short_run_times_every_member_of_the_bundle(shipped_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    result = CliRunner().invoke(
        app, ["latency", "--runs", "2", "--warmup", "1", "--threads", "1", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report == json.loads(out.read_text(encoding="utf-8"))
    bundle = load_bundle(shipped_bundle)
    assert set(report["members_ms"]) == {member.name for member in bundle.manifest.members}
    assert report["bundle"] == bundle.id
    assert all(len(ms["laps"]) == 2 and ms["best"] > 0 for ms in report["members_ms"].values())
    # The ensemble's time holds its members': no lap of it can be below the sum of their best.
    members = sum(ms["best"] for ms in report["members_ms"].values())
    assert report["ensemble_ms"]["best"] >= members
    assert report["load_ms"] > 0


@pytest.mark.parametrize("option", ["--runs", "--warmup"])
def test_no_run_is_refused(option: str) -> None:
    result = CliRunner().invoke(app, ["latency", option, "0"])
    assert isinstance(result.exception, PneumoEdgeError)
