"""The gate's benchmark counts what the gate said, and its bars are those of its docstring."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.gate import NOTICED, bars, table
from benchmarks.gate_folders import CROPS, POSES, Asked, Changed, Folder, Share, ask, change, plain
from pneumo_edge.bundle import load_bundle
from pneumo_edge.measure import SAMPLES


@pytest.mark.parametrize(("count", "n"), [(0, 115), (1, 624), (5, 10), (432, 432)])
def test_a_share_has_wilsons_interval(count: int, n: int) -> None:
    expected = binomtest(count, n).proportion_ci(method="wilson")
    found = Share.of(count, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert Share.of(0, 0).high == 1


def test_a_folder_is_counted_picture_by_picture(tmp_path: Path) -> None:
    film = cv2.imread(str(SAMPLES / "normal.png"), cv2.IMREAD_GRAYSCALE)
    assert film is not None
    assert cv2.imwrite(str(tmp_path / "film.png"), film)
    assert cv2.imwrite(str(tmp_path / "blank.png"), np.full((200, 200), 77, np.uint8))
    assert cv2.imwrite(str(tmp_path / "small.png"), film[:64, :64])
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    asked = Asked(load_bundle(), 1)
    found = ask("mixed", tmp_path, asked)
    assert (found.refused.n, found.refused.count, found.unread) == (4, 3, 2)
    assert found.reasons["has hardly any contrast"] == 1
    # Enlarged, the small one reaches the gate; the torn one does not.
    assert ask("mixed", tmp_path, asked, enlarge=True).unread == 1


def test_films_are_laid_and_cut_in_every_way(tmp_path: Path) -> None:
    film = cv2.imread(str(SAMPLES / "normal.png"), cv2.IMREAD_GRAYSCALE)
    assert film is not None
    for number in range(3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), film)
    rows = change("samples", tmp_path, Asked(load_bundle(), 1), 2)
    assert [row.change for row in rows] == [*POSES, *CROPS]
    assert {row.noticed.n for row in rows} == {2}


def folder(name: str, refused: int, n: int, unread: int = 0) -> Folder:
    none = Share.of(0, n)
    return Folder(name, Share.of(refused, n), unread, none, none, {})


def test_a_bar_is_reached_from_its_figure_on() -> None:
    folders = [
        folder("kermany/test", 1, 100),
        folder("external/nih_adult", 4, 100),
        folder("ood/hands", 10, 10, unread=10),
        folder("ood/hands enlarged", 8, 10),
        folder("ood/pages", 10, 10),
    ]
    share = Share.of(95, 100)
    changed = [
        Changed("kermany/test", "inverted", share, share, 0),
        Changed("kermany/test", "mirrored", Share.of(1, 100), Share.of(0, 100), 0),
    ]
    found = {what: (value.value, reached) for what, value, _, reached in bars(folders, changed)}
    assert found == {
        "kermany/test not refused": (0.99, True),
        "external/nih_adult not refused": (0.96, False),
        "ood refused": (1.0, True),
        "ood refused, the small ones enlarged": (0.9, False),
        "kermany/test inverted: noticed": (NOTICED, True),
    }
    text = "\n".join(table(folders, changed))
    assert "| ood/hands | 10 | 100.0% (72.2% to 100.0%), 10 of them unread" in text
    assert "mirrored | 100 | 1.0%" in text


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("has no detail (detail 0.01, films 0.02 to 0.4)", "has no detail"),
        (
            "lies upside down: it was rotated by 180 degrees before it was scored",
            "lies upside down",
        ),
        ("is 90 x 90 pixels, coarser than the 150 x 150 that the members look at", "is small"),
    ],
)
def test_reasons_are_counted_without_their_figures(reason: str, kept: str) -> None:
    assert plain(reason) == kept
