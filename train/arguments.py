"""Options that several commands of `pneumo-edge train` share."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

INTERRUPTED = 130
"""What typer exits with where Ctrl-C stops any other command; 128 and the signal's number."""

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Folder with train/, test/ (and val/), each with normal/ and pneumonia/. "
        "Default: $PNEUMO_EDGE_DATA/kermany, or ../shared/data/kermany.",
    ),
]
RunFolder = Annotated[
    Path, typer.Option("--run", help="The run's folder; training goes on where it stopped.")
]
PatientPattern = Annotated[
    str | None,
    typer.Option(
        "--patient",
        help="Regular expression on file names whose groups are the patient key. "
        "Default: the Kermany set's names; any other name is a patient of its own.",
    ),
]


Precision = Annotated[
    str, typer.Option(help="float32 or mixed_bfloat16 (3 to 9 times faster on a CPU with AMX).")
]


Distribute = Annotated[
    str,
    typer.Option(
        help="Devices to train on: auto (the GPUs or TPUs that there are, or the CPU), none (one), or how many."
    ),
]


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Say after Ctrl-C what is kept, and exit as other commands do."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; the finished epochs are kept in {folder}. To go on, give the same command again",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None


def search_path(given: Sequence[str] | None, default: str) -> str:
    """What an `--init` that may be given again says, as `train.weights.fill` takes it."""
    return os.pathsep.join(given or [default])
