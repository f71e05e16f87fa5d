from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import BundleError, DatasetError, PneumoEdgeError, RecipeError
from pneumo_edge.manifest import MEMBER_NAMES, Figures, Measure
from train.checkpoint import training_digest
from train.dataset import KERMANY
from train.evaluate import Cached, EvaluationSplit, load_split
from train.examination import EvaluationOptions, differences, examine
from train.fuse import fuse_run
from train.recipe import load_recipe
from train.run import Epoch, History, Predictions, Run, Split
from train.summary import Summary

MEASURE = Measure(value=0.9, low=0.8, high=0.95)
ROW = Figures(
    subject="fused",
    precision="int8",
    split="test",
    operating_point="paper",
    threshold=0.5,
    n=624,
    auc=MEASURE,
    accuracy=MEASURE,
    sensitivity=MEASURE,
    specificity=MEASURE,
    f1=MEASURE,
)


def options(data: Path, **changes: object) -> EvaluationOptions:
    values = {"run": None, "bundle": None, "check": False, "output": None, "patient": None}
    return EvaluationOptions(data, **(values | changes))  # type: ignore[arg-type]


def test_equal_figures_differ_in_nothing() -> None:
    screening = msgspec.structs.replace(ROW, operating_point="screening")
    assert differences([ROW, screening], [screening, ROW]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"n": 623},
        {"threshold": 0.51},
        {"accuracy": Measure(value=0.9001, low=0.8, high=0.95)},
        {"f1": Measure(value=0.9, low=0.8, high=0.9501)},
    ],
)
def test_any_other_figure_is_a_difference(change: dict[str, object]) -> None:
    claimed = msgspec.structs.replace(ROW, **change)
    (found,) = differences([ROW], [claimed])
    assert found.startswith(
        "fused at paper on test: measured accuracy 0.9, AUC 0.9; the manifest says"
    )


def test_a_row_on_one_side_alone_is_a_difference() -> None:
    other = msgspec.structs.replace(ROW, subject="vgg16")
    assert differences([ROW, other], [ROW]) == [
        "the manifest has no figures of vgg16 at paper on test"
    ]
    claims = ["the manifest claims vgg16 at paper on test, not measured"]
    assert differences([ROW], [ROW, other]) == claims
    elsewhere = msgspec.structs.replace(ROW, split="elsewhere", n=9)
    assert differences([ROW, elsewhere], [elsewhere, ROW]) == []


def test_a_float_run_has_no_manifest_to_be_checked_with(data: Path) -> None:
    with pytest.raises(RecipeError, match="--check compares a bundle with its manifest"):
        examine(options(data, run=Path("run"), check=True))


def test_a_bundle_that_claims_other_figures_fails_the_check(
    data: Path, shipped_bundle: Path
) -> None:
    """It was not made from these films, so it cannot measure as it claims."""
    with pytest.raises(BundleError, match="does not measure as it claims"):
        examine(options(data, bundle=shipped_bundle, check=True))


def test_figures_are_shown_whole_and_written_as_json_and_as_a_page(
    data: Path, shipped_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report = tmp_path / "figures.json", tmp_path / "report.html"
    rows = examine(options(data, bundle=shipped_bundle, output=output, report=report))
    written = msgspec.json.decode(output.read_bytes(), type=Summary)
    assert written.figures == rows
    assert (written.schema, written.splits[0].name, written.splits[0].films) == (1, "test", 10)
    (ensemble,) = written.ensembles
    assert (ensemble.kind, ensemble.title) == ("bundle", load_bundle(shipped_bundle).id)
    assert report.read_text().startswith("<!DOCTYPE html>")
    assert str(tmp_path) not in output.read_text() + report.read_text()
    shown = capsys.readouterr().out
    assert "10 films of test" in shown
    for row in rows:
        assert f"{row.auc.value:.3f} ({row.auc.low:.3f}-{row.auc.high:.3f})" in shown


@pytest.mark.parametrize("option", ["output", "report"])
def test_a_file_that_has_no_folder_is_refused_before_the_films_are_read(
    option: str, tmp_path: Path
) -> None:
    said = {"output": "--json", "report": "--report"}[option]
    with pytest.raises(PneumoEdgeError, match=rf"there is no folder .*nowhere.*{said}"):
        examine(options(tmp_path / "no films", **{option: tmp_path / "nowhere" / "file"}))


MEMBERS = (*MEMBER_NAMES, "cnn")


def cached_run(folder: Path, *splits: EvaluationSplit, members: tuple[str, ...] = MEMBERS) -> Run:
    """A run whose members' predictions of the splits are kept, so that no model is loaded."""
    run, recipe = Run(folder), load_recipe("best")
    rng = np.random.default_rng(4)
    labels = [0, 1] * 20
    held_out = [f"{('normal', 'pneumonia')[label]}/{k}.png" for k, label in enumerate(labels)]
    run.write("recipe.json", recipe)
    run.write(
        "split.json",
        Split(data="d", films=40, patients=40, patient_pattern="", seed=1, folds=[held_out]),
    )
    for name in members:
        for file in ("held_out", "stressed"):
            run.write(
                f"{name}/fold-0/{file}.json",
                Predictions(
                    films=held_out,
                    patients=held_out,
                    labels=labels,
                    probabilities=[float(p) for p in 0.3 * np.array(labels) + 0.7 * rng.random(40)],
                ),
            )
        epoch = Epoch(
            epoch=1,
            learning_rate=1e-4,
            loss=0.5,
            accuracy=0.8,
            val_loss=0.5,
            val_accuracy=0.8,
            val_auc=0.9,
            seconds=20.0,
        )
        digest = training_digest(recipe, name)
        told = History(member=name, recipe=digest, init="none", fold="0", epochs=[epoch])
        run.write(f"{name}/fold-0/history.json", told)
        model = run.member(name, "0") / "model.keras"
        model.write_bytes(name.encode())
        for split in splits:
            dataset = split.dataset
            scores = 0.3 * dataset.labels + 0.7 * rng.random(len(dataset))
            kept = Cached(
                model=hashlib.sha256(model.read_bytes()).hexdigest(),
                films=hashlib.sha256(dataset.tensors.tobytes()).hexdigest(),
                predictions=Predictions(
                    films=[film.id for film in dataset.films],
                    patients=dataset.patients.tolist(),
                    labels=dataset.labels.tolist(),
                    probabilities=scores.tolist(),
                ),
            )
            run.write(f"{name}/fold-0/{split.name}.json", kept)
    if set(MEMBER_NAMES) <= set(members):
        fuse_run(run)
    return run


@pytest.fixture(scope="module")
def elsewhere(make_films: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films with a table in which the one lateral view is of a normal chest."""
    folder = make_films(tmp_path_factory.mktemp("other") / "elsewhere", 6, 1, seed=5)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.glob("*/*.png"))
    rows = [f"{name},{'LL' if k == 0 else 'AP'}" for k, name in enumerate(names)]
    (folder / "labels.csv").write_text("\n".join(["file,view", *rows]) + "\n")
    return folder


def test_a_run_is_reported_from_its_kept_predictions_with_films_from_elsewhere(
    data: Path, elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    splits = (load_split(data, KERMANY), load_split(elsewhere, KERMANY))
    run = cached_run(tmp_path / "ours", *splits)
    output, report = tmp_path / "figures.json", tmp_path / "report.html"
    rows = examine(options(data, run=run.folder, external=elsewhere, output=output, report=report))
    assert {row.split for row in rows} == {"test", "elsewhere", "elsewhere/view/AP"}
    written = msgspec.json.decode(output.read_bytes(), type=Summary)
    (ensemble,) = written.ensembles
    assert (ensemble.kind, ensemble.title, ensemble.remarks) == ("run", "ours", [])
    assert [row.member for row in ensemble.training] == list(MEMBERS)
    assert ensemble.training[-1].time_to_baseline == 1
    assert ensemble.held_out is not None
    assert ensemble.held_out.films == 80  # each as it is and under stress
    assert {g.value: g.auc is None for g in ensemble.groups} == {"AP": False, "LL": True}
    assert "labels.csv has no column sex" in written.splits[1].remarks[0]
    page = report.read_text()
    assert "With one class only" in page
    assert "Training time" in page
    assert "12 films of elsewhere" in capsys.readouterr().out


def test_a_run_without_a_baseline_or_of_another_recipe_is_reported_and_says_so(
    data: Path, tmp_path: Path
) -> None:
    run = cached_run(tmp_path / "ours", load_split(data, KERMANY), members=MEMBER_NAMES)
    run.write("recipe.json", msgspec.structs.replace(run.recipe(), dropout=0.25))
    output = tmp_path / "figures.json"
    examine(options(data, run=run.folder, output=output))
    (ensemble,) = msgspec.json.decode(output.read_bytes(), type=Summary).ensembles
    assert {row.images_seen for row in ensemble.training} == {None}
    said = " ".join(ensemble.remarks)
    assert f"another recipe than the run's recipe.json (best): {', '.join(MEMBER_NAMES)}." in said
    assert "train fit --member cnn" in said


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("vgg19/fold-0/held_out.json", r"has no vgg19/fold-0/held_out\.json"),
        ("xception/fold-0/history.json", r"has no xception/fold-0/history\.json"),
        ("resnet50/fold-0/model.keras", "has no trained resnet50"),
        ("fusion.json", "run `pneumo-edge train fuse` first"),
    ],
)
def test_a_run_that_lacks_a_part_is_refused_with_its_name(
    missing: str, told: str, data: Path, tmp_path: Path
) -> None:
    run = cached_run(tmp_path / "ours", load_split(data, KERMANY), members=MEMBER_NAMES)
    (run.folder / missing).unlink()
    with pytest.raises(RecipeError, match=told):
        examine(options(data, run=run.folder, output=tmp_path / "figures.json"))
    assert not (tmp_path / "figures.json").exists()


def test_films_from_elsewhere_need_a_name_of_their_own(data: Path, shipped_bundle: Path) -> None:
    with pytest.raises(DatasetError, match="is called test, as the films of"):
        examine(options(data, bundle=shipped_bundle, external=data / "test"))


def test_a_film_that_cannot_be_read_is_told(
    make_films: Callable[..., Path],
    shipped_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_films(tmp_path / "films", 17, 1, seed=3)
    (tmp_path / "films/NORMAL/IM-0003-0000.png").write_bytes(b"")
    rows = examine(options(tmp_path / "films", bundle=shipped_bundle))
    assert rows[0].n == 33
    assert "IM-0003-0000.png" in capsys.readouterr().err


@pytest.mark.slow
def test_the_shipped_bundle_measures_on_the_official_test_films_what_its_card_says(
    shared_data: Path, shipped_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = examine(options(shared_data / "kermany", bundle=shipped_bundle, check=True))
    assert {row.n for row in rows} == {624}
    assert "equal the manifest's and the model card's" in " ".join(capsys.readouterr().err.split())
