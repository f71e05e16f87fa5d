"""The whole conversion of a run, whose members are small."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import msgspec
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from convert.conversion import ConversionOptions, convert
from convert.order import counted_costs
from convert.parity import ParityReport
from convert.session import run_conversion
from pneumo_edge.bundle import load_bundle
from pneumo_edge.early_exit import replay
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BundleError, DatasetError, RecipeError
from pneumo_edge.framing import read_template
from pneumo_edge.held_out import read_held_out
from pneumo_edge.manifest import MEMBER_NAMES, Grid
from pneumo_edge.types import InputTensor
from train.dataset import list_films, load
from train.framing import framed_films
from train.recipe import ParityBudget
from train.run import Run

MakeOptions = Callable[..., ConversionOptions]


def silent(_what: str, _steps: int) -> Callable[[int], None]:
    return lambda _count: None


def test_the_bundle_passes_every_check_of_the_runtime(converted: Any, run: Run) -> None:
    bundle = load_bundle(converted.bundle)
    assert bundle.manifest == converted.result.manifest
    assert {m.name: m.weight for m in bundle.manifest.members} == run.fusion().weights
    assert bundle.manifest.bias == run.fusion().bias
    assert bundle.manifest.operating_points == run.fusion().operating_points


def test_the_runs_template_goes_along(converted: Any, run: Run) -> None:
    bundle = load_bundle(converted.bundle)
    assert bundle.manifest.template == "template.npz"
    np.testing.assert_array_equal(read_template(bundle), run.template())
    assert "thorax alone" in (converted.bundle / "MODEL_CARD.md").read_text()


def test_the_zip_is_the_same_bundle(converted: Any) -> None:
    assert converted.result.archive is not None
    assert load_bundle(converted.result.archive).manifest == converted.result.manifest


def test_the_parity_table_agrees_with_the_models_run_by_hand(
    converted: Any, run: Run, data: Path
) -> None:
    films = load(list_films(data / "test"))
    ensemble = Ensemble(load_bundle(converted.bundle), choose("cpu"), threads=1)
    rows = {row.subject: row for row in converted.result.manifest.parity}
    votes = [ensemble.score(InputTensor(pixels[None])) for pixels in films.tensors]
    model = keras.models.load_model(run.model_path("vgg16"))
    seen = framed_films(films, run.template())
    assert (seen.tensors != films.tensors).any()
    exact = np.asarray(model(seen.tensors.astype(np.float32), training=False))[:, 0]
    int8 = np.array([v.members[0].probability for v in votes])
    assert rows["vgg16"].n == len(films)
    assert rows["vgg16"].worst_abs_dp == pytest.approx(np.abs(int8 - exact).max(), abs=1e-5)
    assert rows["vgg16"].mean_abs_dp == pytest.approx(np.abs(int8 - exact).mean(), abs=1e-5)


def test_the_manifest_says_where_the_bundle_comes_from(converted: Any, run: Run) -> None:
    told = converted.result.manifest.provenance
    assert told["recipe"]["digest"] == run.recipe().digest
    assert told["conversion"]["representative"]["seed"] == converted.options.seed
    assert told["conversion"]["representative"]["films"] == 8
    assert told["conversion"]["representative"]["check_films"] == 4
    assert "litert-quantizer" in told["conversion"]["versions"]
    text = (converted.bundle / "manifest.json").read_text() + (
        converted.bundle / "MODEL_CARD.md"
    ).read_text()
    assert str(run.folder.parent) not in text, "no path of this machine"


def test_figures_of_both_precisions_stand_in_the_manifest(converted: Any) -> None:
    rows = {(r.subject, r.precision) for r in converted.result.manifest.figures}
    assert rows == {(s, p) for s in ("fused", *MEMBER_NAMES) for p in ("float32", "int8")}


def lacking(run: Run, folder: Path, name: str) -> Run:
    """A copy of the run without one of its parts."""
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("model.keras"))
    for member in MEMBER_NAMES:
        (folder / member / "fold-0" / "model.keras").write_bytes(b"never read")
    target = folder / name
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    return Run(folder)


@pytest.mark.parametrize(
    ("missing", "message"),
    [("resnet50", "no trained resnet50"), ("fusion.json", "no fusion.json.*train fuse")],
)
def test_a_run_without_a_part_is_refused_by_its_name(
    options_for: MakeOptions, run: Run, data: Path, tmp_path: Path, missing: str, message: str
) -> None:
    options = options_for(lacking(run, tmp_path / "run", missing), data, tmp_path / "out")
    with pytest.raises(RecipeError, match=message):
        convert(options, silent)
    assert not options.out.exists()


def test_a_run_of_an_unknown_recipe_is_refused(
    options_for: MakeOptions, run: Run, data: Path, tmp_path: Path
) -> None:
    copy = lacking(run, tmp_path / "run", "recipe.json")
    (copy.folder / "recipe.json").write_text('{"name": "from the future"}')
    with pytest.raises(RecipeError, match=r"recipe\.json"):
        convert(options_for(copy, data, tmp_path / "out"), silent)


def test_a_broken_model_file_is_one_line(
    options_for: MakeOptions, run: Run, data: Path, tmp_path: Path
) -> None:
    copy = lacking(run, tmp_path / "run", "fusion.json")
    copy.write("fusion.json", run.fusion())
    with pytest.raises(RecipeError, match=r"vgg16.*model\.keras is no member's model"):
        convert(options_for(copy, data, tmp_path / "out"), silent)


def test_a_bundle_that_is_there_is_kept(
    options_for: MakeOptions, run: Run, data: Path, converted: Any
) -> None:
    before = (converted.bundle / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match=r"exists.*--force"):
        convert(options_for(run, data, converted.bundle), silent)
    assert (converted.bundle / "manifest.json").read_bytes() == before


def test_more_representative_films_than_there_are_is_refused(
    options_for: MakeOptions, run: Run, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="1000 representative films"):
        convert(options_for(run, data, tmp_path / "out", representative=1000), silent)


def test_the_report_is_json_that_reads_back(converted: Any) -> None:
    report = converted.result.report
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report
    assert report.bundle == converted.result.manifest.id
    assert len(report.flips) == sum(sum(row.flips.values()) for row in report.rows)


def test_the_films_that_the_fusion_was_fitted_on_go_along_by_number(
    converted: Any, run: Run
) -> None:
    known = read_held_out(load_bundle(converted.bundle))
    assert known is not None
    assert known.probabilities.shape == (len(run.split().folds[0]), len(MEMBER_NAMES))


def test_the_manifests_order_of_evaluation_is_the_cheapest_on_those_films(converted: Any) -> None:
    bundle = load_bundle(converted.bundle)
    manifest, known = bundle.manifest, read_held_out(bundle)
    assert known is not None
    fusion = Ensemble(bundle, choose("cpu"), threads=1).fusion
    names = [member.name for member in manifest.members]
    files = {name: (converted.bundle / f"{name}.tflite").read_bytes() for name in names}
    costs = counted_costs(files, (converted.bundle / manifest.head).read_bytes())
    points = manifest.operating_points.values()
    shares = {
        order: sum(replay(fusion, known.probabilities, costs, at, order).share for at in points)
        for order in itertools.permutations(range(len(names)))
    }
    order = tuple(map(names.index, manifest.evaluation_order))
    assert shares[order] == pytest.approx(min(shares.values()))


def test_the_report_tells_how_each_member_fared_on_two_disjoint_sets(converted: Any) -> None:
    members = converted.result.report.members
    assert [member.name for member in members] == list(MEMBER_NAMES)
    for member in members:
        assert 0 < member.fitted_mean_abs_dp < 1
        assert 0 < member.check_mean_abs_dp < 1
        assert len(member.trials) == 1


def test_the_device_shows_the_maps_that_the_head_was_built_with(converted: Any) -> None:
    head = Interpreter(model_path=str(converted.bundle / "head.tflite"))
    signatures = set(head.get_signature_list())
    assert signatures == {"fuse"} | {
        f"{what}_{name}" for what in ("classify", "explain") for name in MEMBER_NAMES
    }


def test_the_manifest_says_where_the_positions_of_a_map_lie(converted: Any) -> None:
    for member in load_bundle(converted.bundle).manifest.members:
        # As indices: 2 - 1 in steps of 4; + 4 in steps of 8; + 8 / 2 in steps of 16; see conftest.
        assert member.grid == Grid(first=9.5, step=16.0)


def test_parity_over_budget_writes_no_bundle_but_the_report(
    options_for: MakeOptions,
    run: Run,
    data: Path,
    tmp_path: Path,
) -> None:
    copy = lacking(run, tmp_path / "run", "fusion.json")
    copy.write("fusion.json", run.fusion())
    strict = ParityBudget(mean_dy=0.0, member_mean_dp=1.0)
    copy.write("recipe.json", msgspec.structs.replace(run.recipe(), parity=strict))
    for name in MEMBER_NAMES:
        shutil.copy(run.model_path(name), copy.member(name, "0") / "model.keras")
    report = tmp_path / "report.json"
    options = options_for(copy, data, tmp_path / "out", accept_parity=False, scheme="float16")
    with pytest.raises(BundleError, match=r"mean \|dy\| .* above 0.*--accept-parity"):
        run_conversion(options, report)
    assert not options.out.exists()
    told = msgspec.json.decode(report.read_bytes(), type=ParityReport)
    assert any("mean |dy|" in missed for missed in told.over_budget)
    assert {member.scheme for member in told.members} == {"float16"}
