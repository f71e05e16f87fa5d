from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import msgspec
import numpy as np
import pytest

from pneumo_edge.errors import RecipeError
from train.distribute import devices, spread
from train.recipe import Recipe
from train.run import History, Predictions, Run

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TWO_CPUS = {
    "tensorflow": (
        "import tensorflow as tf; "
        "tf.config.set_logical_device_configuration(tf.config.list_physical_devices('CPU')[0], "
        "[tf.config.LogicalDeviceConfiguration()] * 2)"
    ),
    "jax": "import os; os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'",
}


def recipe_file(path: Path, tiny: Recipe, epochs: int) -> Path:
    """The tiny recipe without dropout, which each device draws for itself."""
    member = msgspec.structs.replace(tiny.members["cnn"], epochs=epochs)
    recipe = msgspec.structs.replace(tiny, dropout=0.0, members={"cnn": member})
    path.write_bytes(msgspec.json.encode(recipe))
    return path


def fit(backend: str, data: Path, run: Path, recipe: Path, over: str = "2") -> Run:
    """`train fit` in a process of its own that has two CPU devices."""
    code = f"{TWO_CPUS[backend]}\nfrom pneumo_edge.cli import main; main()"
    arguments = ["--data", str(data), "--run", str(run), "--recipe", str(recipe)]
    arguments += ["--init", "none", "--fold", "0", "--distribute", over]
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "fit", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": backend, "COLUMNS": "200"},
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return Run(run)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_train_and_resume_as_one_does(
    backend: str, data: Path, tiny: Recipe, tmp_path: Path
) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    two = recipe_file(tmp_path / "two.json", tiny, 2)
    single = fit(backend, data, tmp_path / "single", two, over="none")
    fit(backend, data, tmp_path / "run", recipe_file(tmp_path / "one.json", tiny, 1))
    run = fit(backend, data, tmp_path / "run", two)
    got = run.read("cnn/fold-0/history.json", History)
    expected = single.read("cnn/fold-0/history.json", History)
    assert [e.epoch for e in got.epochs] == [1, 2]
    for one, other in zip(got.epochs, expected.epochs, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=2e-3)
        assert one.val_loss == pytest.approx(other.val_loss, rel=2e-3)
    here = run.read("cnn/fold-0/held_out.json", Predictions)
    there = single.read("cnn/fold-0/held_out.json", Predictions)
    assert here.films == there.films
    worst = np.abs(np.subtract(here.probabilities, there.probabilities)).max()
    assert worst < 0.005


def test_devices_that_are_not_there_are_refused_by_number() -> None:
    assert devices("none", 7) == devices("auto", 7) == devices("1", 7)
    with pytest.raises(RecipeError, match=r"99 devices were asked for, but \w+ sees 1: cpu:0"):
        devices("99", 99)


def test_one_device_is_left_to_the_framework() -> None:
    with spread("auto", batch_size=3):
        assert keras.distribution.distribution() is None


def test_a_batch_is_divided_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.distribute.accelerators", lambda: ["gpu:0", "gpu:1", "gpu:2"])
    assert devices("auto", 16) == ["gpu:0", "gpu:1"]
    assert devices("auto", 12) == ["gpu:0", "gpu:1", "gpu:2"]
    assert devices("none", 12) == ["gpu:0"]
    with pytest.raises(RecipeError, match="a batch of 16 films cannot be divided among 3 devices"):
        devices("3", 16)
