"""The cores that may be used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pneumo_edge import threads


def test_there_is_at_least_one_and_no_more_than_the_machine_has() -> None:
    assert 1 <= threads.available() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_affinity_mask_counts() -> None:
    code = (
        "import os; from pneumo_edge import threads\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "print(threads.available())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
