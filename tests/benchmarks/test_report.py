from __future__ import annotations

import json
import re
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from benchmarks import board, exports, html, results, session, table
from benchmarks.cli import app
from benchmarks.compare import rows
from benchmarks.fleet import Process
from benchmarks.results import Results
from benchmarks.worker import Spec
from pneumo_edge.bundle import load_bundle
from pneumo_edge.errors import EngineError, PneumoEdgeError
from pneumo_edge.measure import SAMPLES
from pneumo_edge.screening import ready
from pneumo_edge.sources import Source

RUNS = 3


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(shipped_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one short report of one engine, on the samples and on a file that is no film."""
    folder = tmp_path_factory.mktemp("bench")
    films = folder / "films"
    films.mkdir()
    for name in ("normal.png", "pneumonia.png"):
        (films / name).write_bytes((SAMPLES / name).read_bytes())
    (films / "broken.png").write_bytes(b"no film")
    options = ["--only", "cpu", "--runs", str(RUNS), "--warmup", "1", "--throughput", "2"]
    files: list[str | Path] = [
        "--films",
        films,
        "--json",
        folder / "a.json",
        "--html",
        folder / "a.html",
    ]
    done = bench("report", *options, *files)
    assert done.exit_code == 0, (done.output, done.exception)
    (folder / "out").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> Results:
    return results.read(folder / "a.json")


def test_the_last_line_is_the_json_that_was_written(folder: Path) -> None:
    last = (folder / "out").read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last) == json.loads((folder / "a.json").read_text(encoding="utf-8"))


def test_every_member_is_timed_and_they_sum_up_to_the_ensemble(
    report: Results, shipped_bundle: Path
) -> None:
    bundle = load_bundle(shipped_bundle)
    (one,) = report.candidates
    assert report.bundle == bundle.id
    assert (one.name, one.precision, one.peer) == ("cpu", "int8", False)
    assert set(one.members) == {member.name for member in bundle.manifest.members}
    assert one.ensemble_ms is not None
    for lap, whole in enumerate(one.ensemble_ms.laps):
        members = [m.ms.laps[lap] for m in one.members.values() if m.ms]
        assert 0 < sum(members) <= whole + 0.01
    assert len(one.ensemble_ms.laps) == RUNS
    assert one.processor_ms is not None
    for worked, whole in zip(one.processor_ms.laps, one.ensemble_ms.laps, strict=True):
        assert 1 < worked < whole + 10, (
            "one thread is on one core at a time; the rest is the clock's step"
        )
    assert len(report.board.samples) == RUNS + 2  # before, and after each lap and the warm-up
    # The weights alone are more than 20 MiB; no single member needs a gigabyte.
    assert 20 < one.peak_mib < 1000
    assert report.sizes["vgg16.tflite"] == (shipped_bundle / "vgg16.tflite").stat().st_size


def test_own_films_throughput_and_refusals_are_counted(report: Results) -> None:
    assert report.refused == 1
    assert report.parity == []  # there is nothing to compare one engine with
    assert [one.films for one in report.early_exit] == [2, 2, 2]
    for one in report.early_exit:
        assert sum(one.members_run) == 2
        assert 0 < one.share <= 1
    assert len(report.throughput) == 1, report.absent
    (flow,) = report.throughput
    assert flow.films == 2
    assert flow.films_per_s > 0


def test_the_table_and_the_page_tell_the_same_figures(folder: Path, report: Results) -> None:
    page = (folder / "a.html").read_text(encoding="utf-8")
    printed = (folder / "out").read_text(encoding="utf-8")
    for row in [*table.time_rows(report), *table.member_rows(report), *table.exit_rows(report)]:
        for cell in filter(None, row):
            assert f"<td>{escape(cell)}</td>" in page
            assert cell.split(",")[0] in printed
    assert page.count("data:image/svg+xml;base64,") >= 3
    assert not re.search(r"(src|href)=\"(?!data:|#)", page), "the page fetches something"


def test_a_page_shows_the_board_and_the_flips(report: Results) -> None:
    hot = board.Sample(81.0, 1200.0, "ondemand", ["throttled now"])
    flip = results.Flip("ward/a<b.png", "paper", 0.49, 0.51)
    both = results.Parity("gpu", "cpu", 2, 0.01, 0.02, {"paper": 1}, [flip])
    made = msgspec.structs.replace(
        report, board=board.Board("A board", [hot, hot]), parity=[both], interrupted=True
    )
    (one,) = report.candidates
    assert one.card is None
    assert not any("ran on" in line for line in table.remarks(report))
    card = msgspec.structs.replace(one, card="A card")
    page = html.render(msgspec.structs.replace(made, candidates=[card]))
    assert "cpu ran on: A card." in page
    for said in ("A board", "ward/a&lt;b.png", "throttled now", "81.0 °C at most", "Interrupted"):
        assert said in page


def test_random_weights_are_told_of_where_something_ran_with_them(report: Results) -> None:
    def told(precision: str) -> bool:
        (one,) = report.candidates
        made = [msgspec.structs.replace(one, precision=precision)]
        lines = table.remarks(msgspec.structs.replace(report, candidates=made))
        return any("random weights" in line for line in lines)

    assert report.weights == "random"
    assert (told("int8"), told("float32")) == (False, True)


def test_a_report_compared_with_itself_differs_nowhere(folder: Path, report: Results) -> None:
    done = bench("compare", folder / "a.json", folder / "a.json")
    assert done.exit_code == 0, done.output
    found = list(rows(report, report))
    assert {row.ratio for row in found} == {1.0}
    assert not any(row.apart for row in found)
    assert len(found) == 4 + 1 + 1 + 1 + 1  # members, ensemble, memory, throughput, size


def test_a_slower_device_stands_apart_in_the_comparison(report: Results) -> None:
    (one,) = report.candidates
    ms = one.ensemble_ms
    assert ms is not None
    slow = replace(ms, **{name: 3 * getattr(ms, name) for name in ("p50", "p90", "best")})
    other = msgspec.structs.replace(
        report, candidates=[msgspec.structs.replace(one, ensemble_ms=slow)]
    )
    (row,) = [row for row in rows(report, other) if row.what == "cpu, ensemble, ms"]
    assert row.ratio == pytest.approx(3)


def plan(shipped_bundle: Path, **changes: Any) -> session.Plan:
    film = Source(str(SAMPLES / "normal.png"))
    made = session.Plan(
        bundle=load_bundle(shipped_bundle),
        film=film,
        films=[],
        run=None,
        only=["cpu"],
        runs=50,
        warmup=0,
        threads=1,
        throughput_films=0,
        program="pneumo-edge",
    )
    return replace(made, **changes)


def test_ctrl_c_leaves_what_was_measured(shipped_bundle: Path) -> None:
    def say(step: str) -> None:
        if step.startswith("lap 2"):
            raise KeyboardInterrupt

    found = session.measure(plan(shipped_bundle), say)
    assert found.interrupted
    (one,) = found.candidates
    assert one.ensemble_ms is not None
    assert len(one.ensemble_ms.laps) == 2
    assert "Interrupted" in " ".join(table.remarks(found))
    assert "cpu" in html.render(found)


def test_an_engine_that_dies_is_named(shipped_bundle: Path) -> None:
    tensor = ready(Source(str(SAMPLES / "normal.png"))).tensor
    process = Process(Spec("cpu", str(shipped_bundle), "", None, 1), peer=False)
    process.close()
    with pytest.raises((EngineError, ValueError)):
        process.load(["vgg16"], tensor)


def test_a_candidate_that_fails_is_left_out_with_its_reason(
    shipped_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(exports, "make", lambda *_: {"onnxruntime int8": "no such form"})
    monkeypatch.setattr(exports, "folder", lambda *_: tmp_path)
    asked = plan(shipped_bundle, only=["cpu", "tflite float32", "onnxruntime int8"], runs=1)
    found = session.measure(asked, lambda _: None)
    assert [one.name for one in found.candidates] == ["cpu"]
    reasons = {one.name: one.reason for one in found.absent}
    assert reasons["onnxruntime int8"] == "no such form"
    assert "tflite float32" in reasons


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--threads", "0"], "--threads is 0"),
        (["--runs", "0"], "--runs is 0"),
        (["--limit", "0"], "--limit is 0"),
        (["--films", "nowhere"], "--films nowhere is no folder"),
        (["--run", "nowhere"], "--run nowhere has no fusion.json"),
        (["--json", "nowhere/a.json"], "there is no folder nowhere"),
        (["--bundle", "nowhere"], "no bundle at nowhere"),
    ],
)
def test_what_cannot_be_measured_is_refused_at_once(arguments: list[str], said: str) -> None:
    done = bench("report", *arguments)
    assert isinstance(done.exception, PneumoEdgeError)
    assert said in str(done.exception)


def test_an_engine_that_nobody_knows_is_a_wrong_command_line() -> None:
    done = bench("report", "--only", "warp")
    assert done.exit_code == 2
    assert "'warp'" in done.output


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b'{"schema": 1}'])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "b.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PneumoEdgeError, match=re.escape(str(path))):
        results.read(path)
