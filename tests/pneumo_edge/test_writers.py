"""Each form of output, outcome by outcome."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest

from pneumo_edge import writers
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.types import Finding, Interval, MemberScore, Refusal, Timings

FINDING = Finding(
    file="a.png",
    label="normal",
    y=0.25,
    threshold=0.5,
    operating_point="paper",
    members=(MemberScore("vgg19", 0.2, -1, 2), MemberScore("vgg16", 0.1, -2, 1)),
    ms=Timings(1, 2, 3, 6),
    engine="cpu",
    bundle="0123456789ab",
)
REFUSAL = Refusal("b, c.png", "b, c.png is empty", "copy it again")


def test_an_array_is_valid_and_each_element_comes_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = ""
    with writers.together([writers.JsonWriter(single=False)]) as write:
        outcomes: list[writers.Outcome] = [FINDING, REFUSAL, FINDING]
        for count, outcome in enumerate(outcomes, start=1):
            write(outcome)
            shown += capsys.readouterr().out
            assert len(json.loads(shown + "]")) == count
    assert [one["file"] for one in json.loads(shown + capsys.readouterr().out)] == [
        *("a.png", "b, c.png", "a.png")
    ]


def test_an_array_ends_though_the_batch_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with writers.together([writers.JsonWriter(single=False)]) as write:
            write(FINDING)
            raise PneumoEdgeError("the bundle is gone", "bring it back")

    with pytest.raises(PneumoEdgeError):
        fail()
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_nothing_is_put_out_where_nothing_came(capsys: pytest.CaptureFixture[str]) -> None:
    nothing: list[writers.Writer] = [
        writers.JsonWriter(single=False),
        writers.TextWriter(single=False),
    ]
    with writers.together(nothing):
        pass
    assert capsys.readouterr().out == ""


def test_csv_puts_votes_under_their_member_whatever_the_order(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with writers.together([writers.open_csv(str(target), ["vgg16", "vgg19"])]) as write:
        write(FINDING)
        write(REFUSAL)
        rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert (rows[0]["vgg16_probability"], rows[0]["vgg19_probability"]) == ("0.1", "0.2")
    assert (rows[1]["file"], rows[1]["label"], rows[1]["error_remedy"]) == (
        *("b, c.png", "", "copy it again"),
    )


def test_csv_has_the_interval_of_an_early_exit_and_no_votes_of_who_did_not_run(
    tmp_path: Path,
) -> None:
    early = dataclasses.replace(
        FINDING, y=None, members=FINDING.members[:1], interval=Interval(-0.25, 0.5)
    )
    target = tmp_path / "out.csv"
    with writers.together([writers.open_csv(str(target), ["vgg16", "vgg19"])]) as write:
        write(early)
        write(FINDING)
        rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert [rows[0][name] for name in ("y", "y_low", "y_high")] == ["", "-0.25", "0.5"]
    assert [rows[1][name] for name in ("y", "y_low", "y_high")] == ["0.25", "", ""]
    assert (rows[0]["vgg16_probability"], rows[0]["vgg19_probability"]) == ("", "0.2")


def test_csv_has_the_band_and_whether_y_lies_in_it(tmp_path: Path) -> None:
    doubtful = dataclasses.replace(FINDING, band=Interval(0.125, 0.75), indeterminate=True)
    target = tmp_path / "out.csv"
    with writers.together([writers.open_csv(str(target), ["vgg16"])]) as write:
        for outcome in (doubtful, dataclasses.replace(doubtful, indeterminate=False), FINDING):
            write(outcome)
        rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    told = [[row[name] for name in ("indeterminate", "band_low", "band_high")] for row in rows]
    assert told == [["true", "0.125", "0.75"], ["false", "0.125", "0.75"], ["", "", ""]]
    assert rows[0]["vgg16_probability"] == "0.1"


def test_a_summary_counts_what_is_indeterminate_by_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    doubtful = dataclasses.replace(FINDING, band=Interval(0.125, 0.75), indeterminate=True)
    with writers.together([writers.TextWriter(single=False)]) as write:
        for outcome in (FINDING, doubtful, doubtful):
            write(outcome)
    assert "3 images: 1 normal, 2 indeterminate;" in capsys.readouterr().out


def test_a_csv_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PneumoEdgeError, match="cannot write"):
        writers.open_csv(str(tmp_path), ["vgg16"])
