from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest


def pneumo_edge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The console script's own function, in a process of its own."""
    code = "import sys; from pneumo_edge.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_every_option() -> None:
    done = pneumo_edge("convert", "--help")
    assert done.returncode == 0
    first = ("--out", "--data", "--representative", "--seed", "--report", "--zip", "--force")
    for option in (*first, "--scheme", "--accept-parity"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no-such-run", "--out", "new"], ["no-such-run", "recipe.json", "train fit"]),
        (["run", "--out", "taken"], ["taken exists", "--force"]),
    ],
)
def test_bad_input_is_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "manifest.json").write_text("{}")
    done = pneumo_edge("convert", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert all(part in done.stderr for part in told)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["run", "--out", "x", "--representative", "1"],
        ["run", "--out", "x", "--scheme", "int4"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    assert pneumo_edge("convert", *arguments).returncode == 2


def test_without_the_train_extra_the_command_says_which_one_to_install(tmp_path: Path) -> None:
    """A Python that finds no TensorFlow, as on a device."""
    code = (
        "import importlib.util as u, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'tensorflow' else find(name, *a)\n"
        "from pneumo_edge.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "convert", "run", "--out", str(tmp_path / "b")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "tensorflow" in done.stderr
    assert "pneumo-edge[train]" in done.stderr


def test_the_schemes_of_the_command_line_are_those_of_the_quantizer() -> None:
    from convert.cli import Scheme
    from convert.quantize import SCHEMES

    assert get_args(Scheme) == tuple(SCHEMES)
