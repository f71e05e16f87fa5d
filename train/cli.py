"""`pneumo-edge train`: fit, pretrain, fuse, evaluate, samples."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pneumo_edge.errors import MissingExtraError
from train import samples

app = typer.Typer(
    help="Train, fuse and evaluate the ensemble on labelled radiographs.", no_args_is_help=True
)

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


@app.callback()
def _train() -> None:
    """Train, fuse and evaluate the ensemble on labelled radiographs."""
    # Looked for, not imported: Keras takes seconds, and `--help` comes through here.
    for module in ("keras", "sklearn", "matplotlib"):
        if find_spec(module) is None:
            raise MissingExtraError(
                f"training needs {module}, which is not installed",
                "run: pip install 'pneumo-edge[train]'",
            )


def data_folder(data: Path | None) -> Path:
    """The data folder that was named, or the default."""
    from train.dataset import default_data_dir

    return data if data is not None else default_data_dir() / "kermany"


@app.command()
def fit(
    data: Data = None,
    run: RunFolder = Path("runs/best"),
    recipe: Annotated[str, typer.Option(help="paper, best, or a JSON file.")] = "best",
    member: Annotated[
        list[str] | None,
        typer.Option(help="Train only this one; may be given again. Default: the recipe's."),
    ] = None,
    fold: Annotated[
        list[str] | None,
        typer.Option(
            help="Hold out this fold (0, 1, ...), or `all` for none. Default: every fold, then all."
        ),
    ] = None,
    init: Annotated[
        str,
        typer.Option(
            help="Initial weights: imagenet, none, a .npz or .h5 file, or a folder of them."
        ),
    ] = "imagenet",
    precision: Precision = "float32",
    patient: PatientPattern = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Where the films come from and under what licence; told in the model card."
        ),
    ] = None,
) -> None:
    """Train the members; stop it at any time, and the same command goes on."""
    from train.quiet import import_keras

    import_keras()
    from train.session import TrainingOptions, train_members

    options = TrainingOptions(
        run,
        data_folder(data),
        recipe,
        tuple(member or ()),
        tuple(fold or ()),
        init,
        precision,
        patient,
        source,
    )
    with resumable(run):
        train_members(options)


@app.command()
def pretrain(
    films: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder with radiographs anywhere below it, labels not needed; may be given again. "
            "Default: pretrain and kermany/train of the data folder."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the weights, to be named as --init of `train fit`.")
    ] = Path("runs/pretrained"),
    recipe: Annotated[
        str, typer.Option(help="A recipe with pretraining: best, or a file.")
    ] = "best",
    member: Annotated[
        list[str] | None,
        typer.Option(help="Pre-train only this one; may be given again. Default: the recipe's."),
    ] = None,
    init: Annotated[
        str, typer.Option(help="Folder with the ImageNet weights of ResNet50, the teacher.")
    ] = "../shared/init",
    precision: Precision = "float32",
) -> None:
    """Teach members that have no ImageNet weights what ResNet50 sees in radiographs without labels.

    Stop it at any time, and the same command goes on.
    """
    from train.quiet import import_keras

    import_keras()
    from train.pretrain_session import PretrainOptions, pretrain_members

    options = PretrainOptions(tuple(films or ()), out, recipe, tuple(member or ()), init, precision)
    with resumable(out):
        pretrain_members(options)


@app.command()
def fuse(run: RunFolder = Path("runs/best")) -> None:
    """Fuse the trained members by linear regression, and choose the operating points."""
    from train.fuse import fuse_run
    from train.report import print_figures, print_fusion
    from train.run import Run

    fusion = fuse_run(Run(run))
    print_fusion(fusion)
    print_figures(
        fusion.out_of_fold, f"{fusion.films} out-of-fold films (the fusion was fitted on them)"
    )


@app.command()
def evaluate(
    data: Data = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Evaluate the float32 members of this run.")
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            help="Evaluate this int8 bundle. Default, without --run: the one that ships.",
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Fail unless the bundle's figures are those of its manifest."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--json", help="Write every number of the report to this file."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a page with tables and pictures, one HTML file, to this file."),
    ] = None,
    patient: PatientPattern = None,
    external: Annotated[
        Path | None,
        typer.Option(
            help="Films from elsewhere, with normal/ and pneumonia/, to be measured too. "
            "A labels.csv in it (file, patient_id, view, sex, age_years) tells groups apart."
        ),
    ] = None,
    external_patient: Annotated[
        str | None, typer.Option(help="Their patient pattern, as --patient.")
    ] = None,
) -> None:
    """Measure a run or a bundle on the test split, with 95 % intervals.

    A data folder with normal/ and pneumonia/ at its top, and no train/, is evaluated whole: films from
    elsewhere. With a run, the page shows its training too.
    """
    from train.examination import EvaluationOptions, examine

    examine(
        EvaluationOptions(
            data_folder(data),
            run,
            bundle,
            check,
            output,
            patient,
            external,
            external_patient,
            report,
        )
    )


app.command("samples")(samples.command)
