from __future__ import annotations

import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError
from train.batches import Batches
from train.checkpoint import CHECKPOINT, HISTORY, load_checkpoint
from train.dataset import Dataset
from train.fit import (
    MODEL,
    Job,
    fit_member,
    monitored,
    predict,
    split_fold,
    start,
)
from train.folds import patient_folds
from train.recipe import Recipe
from train.run import ALL, History, Predictions, Run, Split
from train.watch import Progress

# Keras hands numpy its own variables while it saves them; its matter, not ours.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

JOB = Job("cnn", "0", "none")


def new_run(folder: Path, dataset: Dataset, recipe: Recipe) -> Run:
    run = Run(folder)
    run.write("recipe.json", recipe)
    parts = patient_folds(dataset.films, recipe.folds, recipe.seed)
    run.write(
        "split.json",
        Split(
            data="films",
            films=len(dataset),
            patients=16,
            patient_pattern="",
            seed=recipe.seed,
            folds=[[dataset.films[i].id for i in part] for part in parts],
        ),
    )
    return run


def fit(
    run: Run, dataset: Dataset, recipe: Recipe, job: Job = JOB
) -> tuple[History, list[Progress]]:
    steps: list[Progress] = []
    return fit_member(run, dataset, recipe, job, steps.append), steps


def longer(recipe: Recipe, epochs: int) -> Recipe:
    member = msgspec.structs.replace(recipe.members["cnn"], epochs=epochs)
    return msgspec.structs.replace(recipe, members={"cnn": member})


def faster(recipe: Recipe, learning_rate: float, **changes: Any) -> Recipe:
    member = msgspec.structs.replace(recipe.members["cnn"], learning_rate=learning_rate)
    return msgspec.structs.replace(recipe, members={"cnn": member}, **changes)


@pytest.fixture(scope="module")
def unbroken(
    tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, tiny: Recipe
) -> tuple[Run, History, list[Progress]]:
    """Two epochs without a break. Not to be changed."""
    run = new_run(tmp_path_factory.mktemp("unbroken"), dataset, tiny)
    return (run, *fit(run, dataset, tiny))


@pytest.fixture
def finished(unbroken: tuple[Run, History, list[Progress]], tmp_path: Path) -> Run:
    """A copy of the unbroken run."""
    shutil.copytree(unbroken[0].folder, tmp_path / "run")
    return Run(tmp_path / "run")


def test_a_training_leaves_a_model_a_history_and_predictions_of_films_that_it_did_not_see(
    unbroken: tuple[Run, History, list[Progress]], dataset: Dataset, tiny: Recipe
) -> None:
    run, history, steps = unbroken
    folder = run.member("cnn", "0")
    assert [e.epoch for e in history.epochs] == [1, 2]
    assert run.read(f"cnn/fold-0/{HISTORY}", History) == history
    assert [(s.epoch, s.batch) for s in steps] == [(e, b) for e in (1, 2) for b in (1, 2, 3, 4)]
    assert {(s.epochs, s.batches) for s in steps} == {(2, 4)}
    held_out = run.read("cnn/fold-0/held_out.json", Predictions)
    assert set(held_out.films) == set(run.split().folds[0])
    # The model that is kept is the one that predicted: float32, the averaged weights, no optimizer.
    model = keras.models.load_model(folder / MODEL)
    assert {v.dtype for v in model.weights} == {"float32"}
    assert getattr(model, "optimizer", None) is None
    _, outside = split_fold(dataset, held_out.films)
    assert predict(model, outside).probabilities == pytest.approx(held_out.probabilities, abs=1e-5)
    assert list(outside.labels) == held_out.labels


def test_the_last_epochs_figures_are_those_of_the_model_that_is_kept(
    unbroken: tuple[Run, History, list[Progress]], dataset: Dataset, tiny: Recipe
) -> None:
    run, history, _ = unbroken
    _, held_out = split_fold(dataset, run.split().folds[0])
    films = monitored(held_out, tiny.monitor_images, tiny.seed)
    got = predict(keras.models.load_model(run.member("cnn", "0") / MODEL), films)
    p, labels = np.array(got.probabilities), np.array(got.labels)
    loss = -np.log(np.where(labels == 1, p, 1 - p)).mean()
    assert history.epochs[-1].val_loss == pytest.approx(loss, abs=1e-5)
    assert history.epochs[-1].val_accuracy == np.mean((p > 0.5) == labels)


def test_the_kept_weights_are_the_moving_average_of_the_steps(
    unbroken: tuple[Run, History, list[Progress]],
) -> None:
    folder = unbroken[0].member("cnn", "0")
    checkpoint = load_checkpoint(folder / CHECKPOINT)
    kept = keras.models.load_model(folder / MODEL)
    averages = [
        np.asarray(v) for v in checkpoint.optimizer.variables if v.path.endswith("_average")
    ]
    assert len(averages) == len(kept.trainable_variables)
    for average, weight, last in zip(
        averages, kept.trainable_variables, checkpoint.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(average, weight)
        assert not np.array_equal(average, last)


KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from train.dataset import load, training_films
from train.fit import Job, fit_member
from train.run import Run

run = Run(Path(sys.argv[1]))

def report(at):
    if (at.epoch, at.batch) == (2, 2):
        os.kill(os.getpid(), signal.SIGKILL)

fit_member(run, load(training_films(Path(sys.argv[2]))), run.recipe(), Job("cnn", "0", "none"), report)
"""


def test_a_killed_training_goes_on_as_if_it_had_not_been(
    unbroken: tuple[Run, History, list[Progress]],
    data: Path,
    dataset: Dataset,
    tiny: Recipe,
    tmp_path: Path,
) -> None:
    run = new_run(tmp_path, dataset, tiny)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(data)],
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (run.member("cnn", "0") / MODEL).exists()
    history, steps = fit(run, dataset, tiny)
    assert [(s.epoch, s.batch) for s in steps] == [(2, b) for b in (1, 2, 3, 4)]
    expected = unbroken[1]
    assert history.init == expected.init
    assert [e.learning_rate for e in history.epochs] == [e.learning_rate for e in expected.epochs]
    # Weights, averages, optimizer, films and dropout come back. What is left is the
    # order in which threads add floats, and Adam's first steps divide by gradients near zero.
    for got, want in zip(history.epochs, expected.epochs, strict=True):
        assert got.loss == pytest.approx(want.loss, abs=2e-3)
        assert got.val_loss == pytest.approx(want.val_loss, abs=2e-3)
    ours = run.read("cnn/fold-0/held_out.json", Predictions)
    theirs = unbroken[0].read("cnn/fold-0/held_out.json", Predictions)
    assert ours.probabilities == pytest.approx(theirs.probabilities, abs=2e-3)


def test_a_kill_between_checkpoint_and_history_repeats_no_epoch(
    finished: Run, dataset: Dataset, tiny: Recipe, unbroken: tuple[Run, History, list[Progress]]
) -> None:
    name = f"cnn/fold-0/{HISTORY}"
    whole = finished.read(name, History)
    finished.write(name, msgspec.structs.replace(whole, epochs=whole.epochs[:1]))
    (finished.member("cnn", "0") / MODEL).unlink()
    history, steps = fit(finished, dataset, tiny)
    assert (history, steps) == (unbroken[1], [])


def test_a_kill_before_the_model_was_written_costs_no_epoch(
    finished: Run, dataset: Dataset, tiny: Recipe, unbroken: tuple[Run, History, list[Progress]]
) -> None:
    folder = finished.member("cnn", "0")
    expected = keras.models.load_model(folder / MODEL).get_weights()
    (folder / MODEL).unlink()
    history, steps = fit(finished, dataset, tiny)
    assert (history, steps) == (unbroken[1], [])
    for got, want in zip(
        keras.models.load_model(folder / MODEL).get_weights(), expected, strict=True
    ):
        np.testing.assert_array_equal(got, want)


def test_a_finished_training_is_not_repeated_even_without_its_checkpoint(
    finished: Run, dataset: Dataset, tiny: Recipe
) -> None:
    folder = finished.member("cnn", "0")
    (folder / CHECKPOINT).unlink()
    before = (folder / MODEL).stat().st_mtime_ns
    history, steps = fit(finished, dataset, tiny)
    assert (len(history.epochs), steps) == (2, [])
    assert (folder / MODEL).stat().st_mtime_ns == before


def test_more_epochs_go_on_from_the_last_one(
    finished: Run, dataset: Dataset, tiny: Recipe, unbroken: tuple[Run, History, list[Progress]]
) -> None:
    folder = finished.member("cnn", "0")
    before = keras.models.load_model(folder / MODEL).get_weights()
    history, steps = fit(finished, dataset, longer(tiny, 3))
    assert history.epochs[:2] == unbroken[1].epochs
    assert [(s.epoch, s.batch) for s in steps] == [(3, b) for b in (1, 2, 3, 4)]
    assert len(history.epochs) == 3
    after = keras.models.load_model(folder / MODEL).get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(after, before, strict=True))


def test_a_stopped_lengthening_does_not_pass_for_a_finished_one(
    finished: Run, dataset: Dataset, tiny: Recipe
) -> None:
    def stop(at: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_member(finished, dataset, longer(tiny, 3), JOB, stop)
    assert finished.folds_of("cnn") == []
    history, _ = fit(finished, dataset, tiny)  # the shorter run is still there
    assert len(history.epochs) == 2
    assert finished.folds_of("cnn") == ["0"]


def test_a_run_of_another_recipe_is_refused(finished: Run, dataset: Dataset, tiny: Recipe) -> None:
    with pytest.raises(RecipeError, match="fold-0 holds a cnn of another recipe"):
        fit(finished, dataset, faster(tiny, 1e-4))


def test_a_damaged_checkpoint_is_named(finished: Run, dataset: Dataset, tiny: Recipe) -> None:
    path = finished.member("cnn", "0") / CHECKPOINT
    path.write_bytes(path.read_bytes()[:5000])
    (finished.member("cnn", "0") / MODEL).unlink()
    with pytest.raises(RecipeError, match=r"checkpoint\.keras cannot be read.*remove it"):
        fit(finished, dataset, tiny)


def test_a_checkpoint_whose_weights_are_damaged_is_named(
    finished: Run, dataset: Dataset, tiny: Recipe
) -> None:
    path = finished.member("cnn", "0") / CHECKPOINT
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    (finished.member("cnn", "0") / MODEL).unlink()
    with pytest.raises(RecipeError, match=r"checkpoint\.keras cannot be read"):
        fit(finished, dataset, tiny)


def test_a_full_disk_leaves_the_last_good_checkpoint(
    finished: Run, dataset: Dataset, tiny: Recipe
) -> None:
    folder = finished.member("cnn", "0")
    before = {name: (folder / name).read_bytes() for name in (CHECKPOINT, HISTORY)}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(at: Progress) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))  # as a disk with 1 MB left

    try:
        with pytest.raises(RecipeError, match=r"checkpoint\.keras cannot be written.*make room"):
            fit_member(finished, dataset, longer(tiny, 3), JOB, fill)
        with pytest.raises(RecipeError, match=r"checkpoint\.keras cannot be unpacked"):
            fit(finished, dataset, longer(tiny, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert not list(folder.glob("*partial*"))
    history, steps = fit(finished, dataset, longer(tiny, 3))
    assert len(history.epochs) == 3
    assert {s.epoch for s in steps} == {3}


def test_a_loss_that_is_no_number_stops_at_its_batch(
    dataset: Dataset, tiny: Recipe, tmp_path: Path
) -> None:
    recipe = faster(tiny, 1e30)
    run = new_run(tmp_path, dataset, recipe)
    with pytest.raises(RecipeError, match=r"loss is nan in epoch 1, batch [234] of cnn") as caught:
        fit(run, dataset, recipe)
    assert "lower the learning rate" in caught.value.remedy
    assert not (run.member("cnn", "0") / CHECKPOINT).exists()


def test_weights_that_are_spoilt_by_the_last_step_are_not_kept(
    dataset: Dataset, tiny: Recipe, tmp_path: Path
) -> None:
    recipe = faster(tiny, 1e38, images_per_epoch=4, ema_momentum=None)  # one step an epoch
    run = new_run(tmp_path, dataset, recipe)
    with pytest.raises(RecipeError, match="probabilities that are no numbers") as caught:
        fit(run, dataset, recipe)
    found = re.search(
        r"after epoch (\d)", caught.value.what
    )  # on some CPUs the first one overflows nothing
    assert found
    kept = int(found[1]) - 1
    assert (run.member("cnn", "0") / CHECKPOINT).exists() == (kept > 0)
    if kept:
        assert len(run.read(f"cnn/fold-0/{HISTORY}", History).epochs) == kept


def test_a_model_for_shipping_trains_on_every_film(
    dataset: Dataset, tiny: Recipe, tmp_path: Path
) -> None:
    recipe = longer(tiny, 1)
    run = new_run(tmp_path, dataset, recipe)
    history, _ = fit(run, dataset, recipe, Job("cnn", ALL, "imagenet"))
    assert history.fold == ALL
    assert history.init == "none"  # nobody publishes weights of the baseline
    assert run.model_path("cnn").parent.name == "fold-all"
    assert not (run.member("cnn", ALL) / "held_out.json").exists()


def test_training_in_bfloat16_gives_a_float32_model(
    dataset: Dataset, tiny: Recipe, tmp_path: Path
) -> None:
    recipe = msgspec.structs.replace(longer(tiny, 1), images_per_epoch=4)
    run = new_run(tmp_path, dataset, recipe)
    fit(run, dataset, recipe, Job("cnn", "0", "none", "mixed_bfloat16"))
    model = keras.models.load_model(run.model_path("cnn"))
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_the_monitored_films_are_a_fixed_draw_of_both_classes(dataset: Dataset) -> None:
    some = monitored(dataset, 8, 20)
    assert sorted(some.labels.tolist()) == [0] * 4 + [1] * 4
    assert some.films == monitored(dataset, 8, 20).films
    assert some.films != monitored(dataset, 8, 21).films
    assert monitored(dataset, None, 20) is dataset
    assert monitored(dataset, 1000, 20) is dataset


def test_each_epoch_is_trained_on_its_own_films(
    dataset: Dataset, tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keras builds the model with a batch that it does not train on, and draws ahead."""
    trained: list[NDArray[np.float32]] = []
    model, _ = start(tiny, "cnn", "none", dataset)
    step = model.train_step

    def watched(batch: Any) -> Any:
        trained.append(np.asarray(batch[0]))
        return step(batch)

    model.train_step = watched
    model.run_eagerly = True
    monkeypatch.setattr("train.fit.start", lambda *_: (model, "none"))
    run = new_run(tmp_path, dataset, tiny)
    fit(run, dataset, tiny)
    seen, _ = split_fold(dataset, run.split().folds[0])
    batches = Batches(seen, tiny)
    expected = []
    for epoch in (1, 2):
        batches.begin_epoch(epoch)
        expected += [batches[i][0] for i in range(len(batches))]
    assert len(trained) == len(expected) == 8
    for got, want in zip(trained, expected, strict=True):
        np.testing.assert_array_equal(got, want)
