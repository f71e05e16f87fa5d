from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed")


def test_every_suite_still_runs(root: Path, shipped_bundle: Path) -> None:
    options = ["--benchmark-disable", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(root / "benchmarks/regressions.py"), *options],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "11 passed" in done.stdout
