from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import DatasetError, RecipeError
from pneumo_edge.framing import encode_template
from pneumo_edge.manifest import MEMBER_NAMES
from pneumo_edge.types import InputTensor
from train.dataset import KERMANY
from train.evaluate import (
    EvaluationSplit,
    evaluate_float,
    load_split,
    predict_bundle,
    predict_float,
    rows_of,
)
from train.framing import fit_template, framed_films
from train.members import build_member
from train.run import Fusion, Run

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
WEIGHTS = (0.5, 0.2, 0.4, -0.1)


@pytest.fixture(scope="module")
def split(data: Path) -> EvaluationSplit:
    return load_split(data, KERMANY)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Five models with random weights under the members' names: the baseline, which is small."""
    run = Run(tmp_path_factory.mktemp("run"))
    for number, name in enumerate((*MEMBER_NAMES, "cnn")):
        keras.utils.set_random_seed(number)
        path = run.member(name, "0") / "model.keras"
        path.parent.mkdir(parents=True)
        build_member("cnn").save(path)
    fusion = Fusion(
        weights=dict(zip(MEMBER_NAMES, WEIGHTS, strict=True)),
        bias=0.05,
        operating_points={"paper": 0.5, "balanced": 0.52, "screening": 0.4},
        films=0,
        folds=["0"],
        out_of_fold=[],
    )
    run.write("fusion.json", fusion)
    return run


def test_a_data_folder_is_evaluated_on_its_test_split(
    split: EvaluationSplit, tmp_path: Path
) -> None:
    assert split.name == "test"
    assert len(split.dataset) == 10
    (tmp_path / "train").mkdir()
    with pytest.raises(DatasetError, match="has no folder test"):
        load_split(tmp_path, KERMANY)


def test_films_from_elsewhere_are_evaluated_whole(data: Path) -> None:
    elsewhere = load_split(data / "train", KERMANY)
    assert elsewhere.name == "train"
    assert len(elsewhere.dataset) == 32


def with_table(folder: Path, views: str) -> Path:
    """A labels.csv that gives the films, in order, these views, and two films to a patient."""
    films = sorted(path for path in folder.glob("*/*.png"))
    rows = [
        f"{film.parent.name}/{film.name},{view}P,{number // 2}"
        for number, (film, view) in enumerate(zip(films, views, strict=True))
    ]
    (folder / "labels.csv").write_text("\n".join(["file,view,patient_id", *rows]) + "\n")
    return folder


def test_the_table_beside_films_tells_patients_whose_names_do_not_and_views(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    folder = with_table(make_films(tmp_path / "other", 4, 1, seed=6), "AAPPAAPP")
    split = load_split(folder, r"^person(\d)_")
    assert split.dataset.patients.tolist() == ["0", "0", "1", "1", "0", "1", "2", "3"]
    assert split.groups["view"].tolist() == [f"{view}P" for view in "AAPPAAPP"]
    assert split.remarks == tuple(
        f"labels.csv has no column {name}: no figures by {name.removesuffix('_years')}"
        for name in ("sex", "age_years")
    )


@pytest.mark.parametrize(("views", "measured"), [("AAPPAAPP", ["AP", "PP"]), ("AAAAPPPP", [])])
def test_the_fusion_is_measured_by_view_where_a_view_has_both_classes(
    views: str, measured: list[str], make_films: Callable[..., Path], tmp_path: Path
) -> None:
    split = load_split(with_table(make_films(tmp_path / "other", 4, 1, seed=6), views), KERMANY)
    rng = np.random.default_rng(1)
    p, y = rng.random((8, 4)), rng.random(8)
    points = {"paper": 0.5, "screening": 0.2}
    rows = {(r.split, r.operating_point): r for r in rows_of(p, y, split, "int8", points)}
    parts = {name for name, _ in rows} - {"other"}
    assert parts == {f"other/view/{view}" for view in measured}
    for view in measured:
        inside = split.groups["view"] == view
        for point, threshold in points.items():
            row = rows[f"other/view/{view}", point]
            right = ((y > threshold) == split.dataset.labels)[inside].mean()
            assert row.accuracy.value == pytest.approx(right, abs=1e-4)
            assert (row.subject, row.n) == ("fused", 4)


def test_a_patient_of_train_is_not_evaluated_on(
    make_films: Callable[..., Path], tmp_path: Path
) -> None:
    make_films(tmp_path / "train", 3, 1, seed=8)
    make_films(tmp_path / "test", 3, 1, seed=9, first=2)
    with pytest.raises(DatasetError, match="patient IM-0002 is in train"):
        load_split(tmp_path, KERMANY)


def test_a_float_ensemble_is_the_weighted_sum_of_its_members(
    run: Run, split: EvaluationSplit
) -> None:
    rows = {(r.subject, r.operating_point): r for r in evaluate_float(run, split)}
    points = [("fused", "paper"), ("fused", "balanced"), ("fused", "screening")]
    assert set(rows) == {*points, *((name, "paper") for name in (*MEMBER_NAMES, "cnn"))}
    images = split.dataset.tensors.astype(np.float32)
    p = [
        np.asarray(keras.models.load_model(run.model_path(name))(images))[:, 0]
        for name in MEMBER_NAMES
    ]
    y = np.array(WEIGHTS) @ np.array(p) + 0.05
    for point, threshold in (("paper", 0.5), ("balanced", 0.52), ("screening", 0.4)):
        right = ((y > threshold) == split.dataset.labels).mean()
        assert rows["fused", point].accuracy.value == pytest.approx(right, abs=1e-4)
    for name, column in zip(MEMBER_NAMES, p, strict=True):
        right = ((column > 0.5) == split.dataset.labels).mean()
        assert rows[name, "paper"].accuracy.value == pytest.approx(right, abs=1e-4)
    assert {r.precision for r in rows.values()} == {"float32"}
    assert {r.split for r in rows.values()} == {"test"}


def test_predictions_are_kept_until_model_or_films_change(
    run: Run, split: EvaluationSplit, tmp_path: Path
) -> None:
    copy = Run(tmp_path / "run")
    shutil.copytree(run.member("vgg16", "0"), copy.member("vgg16", "0"))
    first = predict_float(copy, "vgg16", split)
    cache = copy.member("vgg16", "0") / "test.json"
    written = cache.stat().st_mtime_ns
    assert predict_float(copy, "vgg16", split) == first
    assert cache.stat().st_mtime_ns == written
    shutil.copy(run.model_path("vgg19"), copy.model_path("vgg16"))
    second = predict_float(copy, "vgg16", split)
    assert second.probabilities != first.probabilities
    brighter = EvaluationSplit("test", split.dataset.subset(range(10)))
    brighter.dataset.tensors[:] += 20  # other films of the same names
    assert predict_float(copy, "vgg16", brighter).probabilities != second.probabilities


def test_a_run_with_a_template_has_its_films_framed(
    run: Run, split: EvaluationSplit, tmp_path: Path
) -> None:
    copy = Run(tmp_path / "run")
    shutil.copytree(run.member("vgg16", "0"), copy.member("vgg16", "0"))
    whole = predict_float(copy, "vgg16", split)
    template = fit_template(split.dataset, 1)
    (copy.folder / "template.npz").write_bytes(encode_template(template))
    framed = predict_float(copy, "vgg16", split)
    seen = framed_films(split.dataset, template).tensors.astype(np.float32)
    model = keras.models.load_model(copy.model_path("vgg16"))
    expected = np.asarray(model(seen, training=False))[:, 0]
    np.testing.assert_allclose(framed.probabilities, expected, atol=1e-5)
    assert framed != whole


def test_an_untrained_member_is_named(split: EvaluationSplit, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no trained vgg16"):
        predict_float(Run(tmp_path), "vgg16", split)


def test_a_bundle_is_measured_by_the_deployed_runtime(
    shipped_bundle: Path, split: EvaluationSplit
) -> None:
    bundle = load_bundle(shipped_bundle)
    ensemble = Ensemble(bundle, choose("cpu"), threads=1)
    steps: list[int] = []
    p, y = predict_bundle(ensemble, split.dataset, steps.append)
    assert steps == [1] * 10
    weights = [member.weight for member in bundle.manifest.members]
    np.testing.assert_allclose(y, p @ weights + bundle.manifest.bias, atol=1e-4)
    votes = ensemble.score(InputTensor(split.dataset.tensors[7][np.newaxis]))
    assert y[7] == votes.y
    rows = rows_of(p, y, split, "int8", bundle.manifest.operating_points)
    assert len(rows) == len(bundle.manifest.operating_points) + 4
    assert {r.precision for r in rows} == {"int8"}
    paper = next(r for r in rows if (r.subject, r.operating_point) == ("fused", "paper"))
    right = ((y > 0.5) == split.dataset.labels).mean()
    assert paper.accuracy.value == pytest.approx(right, abs=1e-4)
