from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from train.recipe import Recipe, load_recipe

MAIN = "from pneumo_edge.cli import main; main()"


def pneumo_edge(
    arguments: Sequence[str], before: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The console script in a process of its own, as a terminal of 200 columns has it."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{MAIN}", *arguments],
        capture_output=True,
        text=True,
        env=environment | {"COLUMNS": "200"},
        cwd=cwd,
        check=False,
        timeout=300,
    )


HEAVY = """
import atexit, sys
names = {"keras", "tensorflow", "sklearn", "matplotlib"}
atexit.register(lambda: print("loaded:", *sorted(names & set(sys.modules)), file=sys.stderr))
"""


@pytest.mark.parametrize(
    "command", [[], ["fit"], ["pretrain"], ["fuse"], ["evaluate"], ["samples"]]
)
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    done = pneumo_edge(["train", *command, "--help"], before=HEAVY)
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert done.stderr == "loaded:\n"


@pytest.mark.parametrize("module", ["keras", "sklearn", "matplotlib"])
def test_a_missing_extra_is_named_with_the_command_that_brings_it(module: str) -> None:
    done = pneumo_edge(["train", "fuse"], before=f"import sys; sys.modules[{module!r}] = None")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"training needs {module}, which is not installed" in line
    assert "pip install 'pneumo-edge[train]'" in line


def test_a_missing_backend_of_keras_is_a_missing_extra_too(data: Path) -> None:
    done = pneumo_edge(
        ["train", "fit", "--data", str(data)],
        before="import sys; sys.modules['tensorflow'] = None",
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "this command needs tensorflow" in line
    assert "pip install 'pneumo-edge[train]'" in line


def test_a_mistake_is_one_line_without_notices_of_tensorflow(data: Path, tmp_path: Path) -> None:
    done = pneumo_edge(["train", "fit", "--data", str(data), "--member", "vgg17"], cwd=tmp_path)
    assert done.returncode == 1
    members = ", ".join(load_recipe("best").members)
    assert done.stderr == (
        f"error: recipe best has no member 'vgg17'; to fix it, name one of {members}\n"
    )
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_mistakes_that_need_no_keras_are_one_line(data: Path, tmp_path: Path) -> None:
    for arguments, told in (
        (["fuse", "--run", str(tmp_path / "none")], "has no trained vgg16"),
        (["fit", "--data", str(data), "--member", "vgg17"], "has no member 'vgg17'"),
        (["fit", "--data", str(data), "--init", "gone", "--init", "."], "no weights file gone"),
        (["pretrain", "--films", str(data / "train"), "--init", "gone"], "gone is no folder"),
        (["evaluate", "--data", str(tmp_path / "none")], "none is not a folder"),
        (["evaluate", "--data", str(data), "--bundle", str(tmp_path / "no")], "no bundle at"),
        (["evaluate", "--data", str(data), "--run", "r", "--check"], "leave out --run"),
        (["evaluate", "--data", str(data), "--patient", "("], "patient pattern '('"),
    ):
        done = pneumo_edge(["train", *arguments], before=HEAVY)
        assert done.returncode == 1, arguments
        line, loaded = done.stderr.splitlines()
        assert told in line
        assert "keras" not in loaded


def test_ctrl_c_says_what_is_kept_and_exits_as_other_commands_do(
    data: Path, tiny: Recipe, tmp_path: Path
) -> None:
    member = msgspec.structs.replace(tiny.members["cnn"], epochs=1000)
    recipe = msgspec.structs.replace(tiny, members={"cnn": member})
    (tmp_path / "mine.json").write_bytes(msgspec.json.encode(recipe))
    run = tmp_path / "run"
    arguments = ["train", "fit", "--data", str(data), "--run", str(run), "--fold", "0"]
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments, "--recipe", str(tmp_path / "mine.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    history = run / "cnn/fold-0/history.json"
    deadline = time.monotonic() + 300
    while not history.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert history.is_file(), stderr
    assert process.returncode == 130, stderr
    lines = stderr.splitlines()
    assert lines[-1] == (
        f"stopped; the finished epochs are kept in {run}. To go on, give the same command again"
    )
    assert "Traceback" not in stderr
    assert not [line for line in lines if "cuda" in line.lower() or "absl" in line]
