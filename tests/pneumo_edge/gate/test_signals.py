"""The cheap signals tell an empty picture, a page and a colour photograph from a film."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge.decode import decode, decode_file
from pneumo_edge.gate import signals
from pneumo_edge.measure import SAMPLES
from pneumo_edge.prepare import prepare
from pneumo_edge.types import Radiograph

BOUNDS = np.array([[16.0, 256.0], [0.0, 0.6], [0.0, 0.4]])


def looked(pixels: NDArray[Any], colour: float = 0.0) -> list[signals.Note]:
    film = Radiograph(pixels, 8, "picture", colour)
    return signals.look(film, prepare(film), BOUNDS)


def page() -> NDArray[np.uint8]:
    paper = np.full((400, 300), 245, np.uint8)
    for line in range(20, 390, 18):
        cv2.putText(paper, "0123456789 total", (8, line), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 20, 2)
    return paper


@pytest.mark.parametrize("name", ["normal", "pneumonia"])
def test_nothing_speaks_against_the_samples(name: str) -> None:
    film = decode_file(SAMPLES / f"{name}.png")
    assert not signals.look(film, prepare(film), BOUNDS)


def test_an_empty_picture_is_refused_without_statistics_too() -> None:
    film = Radiograph(np.full((200, 200), 90, np.uint8), 8, "blank")
    (note,) = signals.look(film, prepare(film), None)
    assert note.refuse
    assert "hardly any contrast" in note.says


def test_a_page_of_text_is_refused() -> None:
    notes = looked(page())
    assert any(note.refuse and "edges and lines" in note.says for note in notes)


@pytest.mark.parametrize(
    ("shape", "refuse"),
    [((200, 380), None), ((200, 420), False), ((200, 620), True), ((620, 200), True)],
)
def test_a_shape_that_no_chest_has_is_told_and_then_refused(
    shape: tuple[int, int], refuse: bool | None, grey: NDArray[np.uint8]
) -> None:
    notes = looked(cv2.resize(grey, shape[::-1]))
    assert [note.refuse for note in notes if "longer than a chest film" in note.says] == (
        [] if refuse is None else [refuse]
    )


def test_a_film_coarser_than_the_members_input_is_warned_of(grey: NDArray[np.uint8]) -> None:
    (note,) = looked(cv2.resize(grey, (100, 100)))
    assert not note.refuse
    assert "coarser" in note.says


def test_measures_are_those_of_their_definitions() -> None:
    ramp = np.tile(np.arange(150, dtype=np.uint8), (150, 1))[None, :, :, None]
    spread, flat, detail = signals.measure(ramp)[0]
    assert spread == pytest.approx(146, abs=2)
    assert flat == pytest.approx(5 / 150)
    # A ramp has no second difference but at its ends, where the border mirrors it.
    assert detail == pytest.approx(2 * 2 / 150 / (np.arange(150).std() + 1), rel=0.05)


def colour_of(bgr: NDArray[Any]) -> float:
    return decode(cv2.imencode(".png", bgr)[1].tobytes(), "picture").colour


def test_a_tinted_film_is_not_in_colour_and_a_coloured_picture_is(
    grey: NDArray[np.uint8], tmp_path: Path
) -> None:
    tint = np.stack([grey * f for f in (0.8, 0.95, 1.0)], 2).clip(0, 255).astype(np.uint8)
    assert colour_of(tint) < signals.COLOUR[0] / 2
    assert colour_of(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)) == pytest.approx(0, abs=1e-9)
    picture = cv2.applyColorMap(grey, cv2.COLORMAP_JET)
    assert colour_of(picture) > signals.COLOUR[1]
    (note,) = (note for note in looked(grey, colour_of(picture)) if "colour" in note.says)
    assert note.refuse
    alone = tmp_path / "grey.png"
    assert cv2.imwrite(str(alone), grey)
    assert decode_file(alone).colour == 0
