from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from convert.conversion import Conversion
from convert.member import MemberReport, Trial
from convert.parity import Flip, ParityReport
from convert.session import run_conversion, show, write_report
from pneumo_edge.errors import BundleError
from pneumo_edge.manifest import MEMBER_NAMES, SCHEMA_VERSION, InputContract, Manifest, ParityRow

FLIP = Flip(
    film="normal/a.png",
    subject="fused",
    operating_point="paper",
    threshold=0.5,
    float32=0.49,
    int8=0.51,
)


@pytest.fixture
def conversion() -> Conversion:
    row = ParityRow(
        subject="fused",
        n=624,
        mean_abs_dp=0.0034,
        worst_abs_dp=0.0312,
        auc_float=0.97,
        auc_int8=0.9699,
        flips={"paper": 1, "screening": 0},
    )
    manifest = Manifest(
        schema=SCHEMA_VERSION,
        id="0123456789ab",
        created="2025-01-01",
        files={},
        input=InputContract(rows=150, cols=150, channels=1, dtype="uint8"),
        members=[],
        bias=0.0,
        head="head.tflite",
        operating_points={"paper": 0.5},
        evaluation_order=list(MEMBER_NAMES),
        figures=[],
        parity=[row],
        provenance={},
    )
    trial = Trial(
        finer={},
        left_in_float=[],
        mean_abs_dp=0.021,
        worst_abs_dp=0.2,
        undecided_dp=0.3,
        bytes=23_000_000,
    )
    finer = msgspec.structs.replace(trial, finer={"stem": 2, "pool": 2}, mean_abs_dp=0.0105)
    mended = Trial(
        finer={},
        left_in_float=["stem"],
        mean_abs_dp=0.005,
        worst_abs_dp=0.03,
        undecided_dp=0.07,
        bytes=24_500_000,
    )
    member = MemberReport(
        name="xception",
        scheme="static-int8, 2 layers in float32",
        fitted_films=8,
        fitted_mean_abs_dp=0.0044,
        check_mean_abs_dp=0.005,
        check_worst_abs_dp=0.03,
        stable=True,
        trials=[trial, finer, mended],
        ranking=[("stem", 0.4)],
    )
    report = ParityReport(
        bundle=manifest.id,
        split="test",
        rows=[row],
        flips=[FLIP],
        over_budget=[],
        members=[member],
    )
    sizes = {"head.tflite": 6_330_000, "vgg16.tflite": 14_840_000}
    return Conversion(manifest, report, sizes, written=True, archive=None)


def test_the_tables_show_parity_sizes_flips_and_the_place(
    conversion: Conversion, capsys: pytest.CaptureFixture[str]
) -> None:
    show(conversion, Path("bundles/new"))
    out = capsys.readouterr().out
    for part in ("624 test films", "0.0034", "0.0312", "0.9699", "paper 1", "6.33", "21.17"):
        assert part in out
    assert "normal/a.png 0.4900 -> 0.5100" in out
    assert "bundle 0123456789ab written to bundles/new" in out


def test_what_leaving_layers_in_float_bought_is_shown(
    conversion: Conversion, capsys: pytest.CaptureFixture[str]
) -> None:
    show(conversion, Path("bundles/new"))
    out = capsys.readouterr().out
    assert "static-int8, 2 layers in float32" in out
    assert (
        "xception with 2 activations in copies and 0 of its worst layers in float32: mean |dp| 0.0105"
        in out
    )
    assert (
        "xception with 0 activations in copies and 0 of its worst layers in float32: mean |dp| 0.0210"
        in out
    )
    assert (
        "xception with 0 activations in copies and 1 of its worst layers in float32: mean |dp| 0.0050, "
        "worst 0.0300, of an undecided film 0.0700" in out
    )


def test_a_bundle_that_was_not_written_is_not_said_to_be(
    conversion: Conversion, capsys: pytest.CaptureFixture[str]
) -> None:
    show(dataclasses.replace(conversion, written=False), Path("bundles/new"))
    assert "written to" not in capsys.readouterr().out


def test_the_report_names_each_film_whose_label_flipped(
    conversion: Conversion, tmp_path: Path
) -> None:
    write_report(conversion, tmp_path / "parity.json")
    read = msgspec.json.decode((tmp_path / "parity.json").read_bytes(), type=ParityReport)
    assert read == conversion.report


def test_a_report_that_cannot_be_written_is_one_line(
    conversion: Conversion, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=r"cannot write .*nowhere"):
        write_report(conversion, tmp_path / "nowhere" / "parity.json")


def test_a_report_without_a_folder_is_refused_before_the_work_begins(
    run: Any, data: Path, options_for: Any, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=r"no folder .*nowhere"):
        run_conversion(options_for(run, data, tmp_path / "b"), tmp_path / "nowhere" / "parity.json")


def test_a_refused_conversion_prints_no_table(
    run: Any, data: Path, options_for: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "manifest.json").write_text("{}")
    with pytest.raises(BundleError, match="exists"):
        run_conversion(options_for(run, data, tmp_path / "taken"), None)
    assert capsys.readouterr().out == ""
