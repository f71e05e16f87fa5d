"""What each scheme costs and loses, member by member: `python -m convert.schemes RUN`."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from convert.conversion import load_member
from convert.member import ConvertedMember, MemberOptions, convert_member
from convert.quantize import SCHEMES, Scheme
from convert.representative import RepresentativeSet, draw_representative, seen_films
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.manifest import MEMBER_NAMES
from train.dataset import default_data_dir, training_films
from train.recipe import MemberBudget
from train.run import Run

ANY = MemberBudget(mean_dp=math.inf, undecided_dp=math.inf)
"""What each scheme costs is told of all layers."""

WARM_UP = 3
"""Calls that are not timed."""

SLOW: Scheme = "int16"
SLOW_FILMS, SLOW_LAPS = 8, 3
"""Its kernels are LiteRT's plain ones, seconds a film for a VGG: fewer films to fit on, to check by and to time."""

COLUMNS = ("member", "scheme", "MB", "ms", "partitions", "mean \\|dp\\|", "worst \\|dp\\|")


@dataclass(frozen=True, slots=True)
class SchemeCost:
    """One member by one scheme."""

    member: str
    scheme: str
    size: int
    """Bytes."""
    milliseconds: float
    """Median of one image, one thread."""
    partitions: int
    """Parts of the graph that XNNPACK runs; what lies between them, it does not."""
    mean_abs_dp: float
    """Against float32, on training films that nothing was fitted on."""
    worst_abs_dp: float

    def row(self) -> str:
        """A line of the table."""
        cells = (
            self.member,
            self.scheme,
            f"{self.size / 1e6:.2f}",
            f"{self.milliseconds:.1f}",
            str(self.partitions),
            f"{self.mean_abs_dp:.4f}",
            f"{self.worst_abs_dp:.4f}",
        )
        return f"| {' | '.join(cells)} |"


OFF_BY_ONE = "float32, films off by one grey level"


def off_by_one(member: Any, films: NDArray[np.uint8], seed: int) -> NDArray[np.float64]:
    """What a member in float32 makes of the least that can happen to a film, to hold schemes against.

    Args:
        member: As train.members builds it.
        films: (n, 150, 150, 1) grey levels.
        seed: Of the draw.

    Returns:
        (n,) |dp| where each pixel is a grey level darker, as it was or a grey level lighter, at random.
    """
    moved = np.random.default_rng(seed).integers(-1, 2, films.shape) + films
    seen = np.concatenate([films, np.clip(moved, 0, 255)]).astype(np.float32)
    p: NDArray[np.float32] = member.predict(seen, verbose=0)[:, 0]
    return np.abs(p[len(films) :].astype(np.float64) - p[: len(films)])


def measure_scheme(
    member: Any, chosen: RepresentativeSet, scheme: Scheme, laps: int, threads: int
) -> SchemeCost:
    """Convert a member by a scheme, no layer left in float, and measure what came of it."""
    if scheme == SLOW:
        few = slice(SLOW_FILMS)
        chosen = replace(
            chosen, films=chosen.films[few], pixels=chosen.pixels[few], check=chosen.check[few]
        )
        laps = min(laps, SLOW_LAPS)
    made = convert_member(member, chosen, MemberOptions(scheme, ANY, threads))
    return _cost(made, laps)


def _cost(made: ConvertedMember, laps: int) -> SchemeCost:
    runner = Interpreter(model_content=made.tflite, num_threads=1)
    runner.allocate_tensors()
    given = runner.get_input_details()[0]
    runner.set_tensor(given["index"], np.zeros(given["shape"], np.int8))
    times = []
    for _ in range(WARM_UP + laps):
        start = time.perf_counter()
        runner.invoke()
        times.append((time.perf_counter() - start) * 1e3)
    return SchemeCost(
        member=made.report.name,
        scheme=made.scheme,
        size=len(made.tflite),
        milliseconds=statistics.median(times[WARM_UP:]),
        partitions=partitions(runner),
        mean_abs_dp=made.report.check_mean_abs_dp,
        worst_abs_dp=made.report.check_worst_abs_dp,
    )


def partitions(runner: Any) -> int:
    """How many parts of an allocated interpreter's graph were given to a delegate."""
    details = runner._get_ops_details()  # noqa: SLF001  # nothing public tells the partitions
    return sum(op["op_name"] == "DELEGATE" for op in details)


def table(
    members: Mapping[str, Path],
    schemes: Sequence[Scheme],
    chosen: RepresentativeSet,
    laps: int,
    threads: int,
) -> Iterator[str]:
    """The table as Markdown, a line at a time, since each takes a while.

    Args:
        members: The trained models, by name.
        schemes: To convert each by.
        chosen: Films to fit on, and to check by.
        laps: Images that are timed.
        threads: For converting.
    """
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{' --- |' * len(COLUMNS)}"
    for name, path in members.items():
        member = load_member(path)
        for scheme in schemes:
            yield measure_scheme(member, chosen, scheme, laps, threads).row()
        moved = off_by_one(member, chosen.check, chosen.seed)
        yield f"| {name} | {OFF_BY_ONE} | | | | {moved.mean():.4f} | {moved.max():.4f} |"


def trained(run: Run, wanted: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """The members that a run has, and the names of those that it lacks.

    Raises:
        RecipeError: it has none of them.
    """
    lacking = [name for name in wanted if not run.folds_of(name)]
    if len(lacking) == len(wanted):
        run.model_path(lacking[0])
    return {name: run.model_path(name) for name in wanted if name not in lacking}, lacking


def _known(given: list[str] | None, allowed: Sequence[str]) -> list[str]:
    for name in given or []:
        if name not in allowed:
            raise typer.BadParameter(f"{name!r} is none of: {', '.join(allowed)}")
    return given or list(allowed)


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a run that was trained.")],
    data: Annotated[Path | None, typer.Option(help="As of `pneumo-edge convert`.")] = None,
    representative: Annotated[int, typer.Option(min=2)] = 128,
    seed: Annotated[int, typer.Option()] = 20,
    laps: Annotated[int, typer.Option(min=1, help="Images that are timed.")] = 30,
    threads: Annotated[
        int, typer.Option(min=1, help="For converting; one image is timed on one.")
    ] = 2,
    member: Annotated[
        list[str] | None, typer.Option(help="One of the four; may be repeated. Default: all.")
    ] = None,
    scheme: Annotated[
        list[str] | None, typer.Option(help="May be repeated. Default: all of them.")
    ] = None,
) -> None:
    """Print bytes, milliseconds, partitions and parity of every member by every scheme.

    Below them, what it does to the float32 member where each pixel of a film is off by one grey level at most.

    A member that the run lacks is named and left out.
    """
    wanted, ways = _known(member, MEMBER_NAMES), _known(scheme, list(SCHEMES))
    try:
        opened = Run(run)
        folder = data if data is not None else default_data_dir() / "kermany"
        pattern = opened.split().patient_pattern
        members, lacking = trained(opened, wanted)
        films = training_films(folder, pattern)
        drawn = draw_representative(films, representative, seed)
        chosen = seen_films(drawn, opened.template())
        for line in table(members, [way for way in SCHEMES if way in ways], chosen, laps, threads):
            typer.echo(line)
        for name in lacking:
            typer.echo(f"{run} has no trained {name}: left out", err=True)
    except PneumoEdgeError as err:
        typer.echo(f"error: {err}", err=True)
        raise typer.Exit(err.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
