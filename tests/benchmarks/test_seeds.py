from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.seeds import collect
from pneumo_edge.errors import DatasetError


def test_a_folder_without_real_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no kermany/test and dicom folder"):
        collect(tmp_path)
