from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.cli import app
from benchmarks.infer_process import find_program, run_once
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import PneumoEdgeError


def test_a_short_run_reports_every_lap_and_names_machine_engine_and_bundle(
    shipped_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.json"
    result = CliRunner().invoke(
        app, ["process", "--runs", "2", "--warmup", "1", "--cores", "1", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout.splitlines()[-1])
    assert report == json.loads(out.read_text(encoding="utf-8"))
    assert (
        len(report["wall_s"]["laps"]) == len(report["peak_rss_mib"]["laps"]) == report["runs"] == 2
    )
    assert report["bundle"] == load_bundle(shipped_bundle).id
    assert report["engine"] in {"cpu", "tflite-runtime"}
    assert report["threads"] == report["cores"] == 1
    assert report["machine"]["cpu"]
    # The weights alone are more than 20 MiB, and no process of Python starts in a hundredth of a second.
    assert report["peak_rss_mib"]["best"] > 20
    assert report["wall_s"]["best"] > 0.01


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_lap_sees_the_memory_and_the_time_of_its_own_process() -> None:
    finding = 'print(\'{"engine": "cpu", "bundle": "0"}\')'
    ballast = b"1" * (400 * 2**20)  # what this process holds must not count
    small = run_once(python(finding))
    large = run_once(python(f"import time; x = b'1' * (300 * 2**20); time.sleep(0.3); {finding}"))
    assert small.peak_rss_mib < 100 < len(ballast) / 2**20
    assert large.peak_rss_mib - small.peak_rss_mib > 150
    assert large.wall_s > 0.3
    busy = run_once(python(f"import time\nwhile time.process_time() < 0.5: pass\n{finding}"))
    assert busy.cpu_s >= 0.5


def test_a_command_that_fails_is_reported_with_its_last_words() -> None:
    with pytest.raises(PneumoEdgeError, match="exited 3: no such film"):
        run_once(python("import sys; print('no such film', file=sys.stderr); sys.exit(3)"))


@pytest.mark.parametrize("said", ["", "hello", "[]", '[{"a": 1}]'])
def test_a_command_that_prints_no_finding_is_refused(said: str) -> None:
    with pytest.raises(PneumoEdgeError, match="not one finding"):
        run_once(python(f"print({said!r}, end='')"))


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PneumoEdgeError, match="nothing-here is no program"):
        find_program(tmp_path / "nothing-here")


def test_more_cores_than_there_are_or_no_runs_are_refused() -> None:
    result = CliRunner().invoke(app, ["process", "--runs", "0"])
    assert isinstance(result.exception, PneumoEdgeError)
    assert "run 0 times" in str(result.exception)
