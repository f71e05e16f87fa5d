from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.throughput import SETTLING, measure
from pneumo_edge.errors import EngineError
from pneumo_edge.measure import SAMPLES

FILM = SAMPLES / "normal.png"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program in the place of pneumo-edge; the test writes what it does."""
    path = tmp_path / "program"
    path.touch(mode=0o755)
    return path


def test_the_clock_runs_from_finding_to_finding_and_not_while_it_loads(program: Path) -> None:
    program.write_text("#!/bin/sh\nsleep 1\nfor film in $2/*; do echo $film; sleep 0.1; done\n")
    found = measure(str(program), FILM, "cpu", Path("bundle"), films=6)
    # A tenth of a second each: never faster, and slower only as far as the machine is busy.
    assert 0 < found.films_per_s <= 10
    assert (found.engine, found.films) == ("cpu", 6)


def test_every_film_is_a_copy_of_the_one_that_was_named(program: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program.write_text(f"#!/bin/sh\ncat $2/* > {seen}; for film in $2/*; do echo; done\n")
    measure(str(program), FILM, "cpu", Path("bundle"), films=2)
    assert seen.read_bytes() == FILM.read_bytes() * (SETTLING + 2)


def test_a_program_that_fails_is_reported_with_its_last_words(program: Path) -> None:
    program.write_text("#!/bin/sh\necho one\necho no such engine >&2\nexit 1\n")
    with pytest.raises(EngineError, match="cpu gave 1 findings for 6 films, exit code 1 no such"):
        measure(str(program), FILM, "cpu", Path("bundle"), films=2)
