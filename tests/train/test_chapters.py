from __future__ import annotations

from train.chapters import all_figures, in_short, of_split
from train.inner_chapters import calibration, fusing
from train.page import text
from train.summary import Summary
from train.wording import fraction


def test_a_split_has_its_own_rows_alone(summary: Summary) -> None:
    (ensemble,) = summary.ensembles
    for split in summary.splits:
        rows = of_split(ensemble, split)
        assert rows
        assert {row.split for row in rows} == {split.name}


def test_the_short_telling_holds_the_fusions_auc_and_the_papers_figures(summary: Summary) -> None:
    (ensemble,) = summary.ensembles
    split = summary.splits[0]
    fused = next(
        row
        for row in of_split(ensemble, split)
        if row.subject == "fused" and row.operating_point == "balanced"
    )
    told = " ".join(text(part) for part in in_short(summary, ensemble, split))
    assert fraction(fused.auc) in told
    assert "94.40" in told


def test_every_subject_has_a_row_of_figures(summary: Summary) -> None:
    (ensemble,) = summary.ensembles
    rows = of_split(ensemble, summary.splits[0])
    told = " ".join(text(part) for part in all_figures(rows, summary.splits[0]))
    assert all(row.subject in told for row in rows)


def test_fusing_and_calibration_have_pictures_with_captions(summary: Summary) -> None:
    (ensemble,) = summary.ensembles
    for chapter in (fusing, calibration):
        told = " ".join(text(part) for part in chapter(ensemble, summary.splits[0]))
        assert told.count("<figure") == told.count("<figcaption") > 0
