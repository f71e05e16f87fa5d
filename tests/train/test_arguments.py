from __future__ import annotations

import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from train.ablate_command import command as ablate
from train.arguments import INTERRUPTED, resumable, search_path
from train.cli import app
from train.pretrain_command import command as pretrain


def test_weights_that_are_given_again_become_a_search_path() -> None:
    assert search_path(None, "imagenet") == search_path([], "imagenet") == "imagenet"
    assert search_path(["a", "b"], "imagenet") == f"a{os.pathsep}b"


def test_a_stopped_training_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stopped, resumable(Path("runs/mine")):
        raise KeyboardInterrupt
    assert stopped.value.exit_code == INTERRUPTED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("stopped; the finished epochs are kept in runs/mine.")


def test_a_training_that_ends_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with resumable(Path("runs/mine")):
        pass
    assert capsys.readouterr().err == ""


def test_the_commands_are_those_of_their_modules() -> None:
    callbacks = {info.name: info.callback for info in app.registered_commands}
    assert callbacks["pretrain"] is pretrain
    assert callbacks["ablate"] is ablate
    done = CliRunner().invoke(app, ["ablate", "--help"])
    assert "--vary" in done.output
