"""What tests of every folder share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from pneumo_edge.bundle import default_bundle

ROOT = Path(__file__).parents[1]

# No deadline: on a shared machine one example in a thousand is slow, and that is no bug.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")

# A shell's background job ignores Ctrl-C and so do the processes that it starts; tests send it to theirs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the data sets; a test that asks for it is skipped where there is none."""
    folder = Path(os.environ.get("PNEUMO_EDGE_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "kermany").is_dir():
        pytest.skip(f"{folder} holds no kermany set; PNEUMO_EDGE_DATA may name another folder")
    return folder


@pytest.fixture(scope="session")
def shipped_bundle() -> Path:
    """The bundle that a plain `pneumo-edge infer` uses."""
    folder = default_bundle()
    if not folder.exists():
        pytest.skip(f"{folder} is not there; pneumo-edge convert makes one")
    return folder
