"""The whole conversion of a run with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pneumo_edge.bundle import load_bundle
from pneumo_edge.manifest import MEMBER_NAMES


def test_the_bundle_that_was_written_passes_every_check_of_the_runtime(converted) -> None:
    bundle = load_bundle(converted.bundle)
    assert bundle.id == converted.result.manifest.id
    assert bundle.manifest == converted.result.manifest
