"""`pneumo-edge train`: fit, pretrain, ablate, fuse, evaluate, samples."""

from pathlib import Path
from typing import Annotated

import typer

from train import ablate_command, pretrain_command, samples
from train.arguments import (
    Data,
    Distribute,
    PatientPattern,
    Precision,
    RunFolder,
    resumable,
    search_path,
)
from train.extra import require_train_extra

app = typer.Typer(
    help="Train, fuse and evaluate the ensemble on labelled radiographs.", no_args_is_help=True
)


@app.callback()
def _train() -> None:
    """Train, fuse and evaluate the ensemble on labelled radiographs."""
    require_train_extra("training", ("keras", "sklearn", "matplotlib"))


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
        list[str] | None,
        typer.Option(
            help="Initial weights: imagenet, none, a .npz or .h5 file, or a folder of them; given again, "
            "the first that has a file for a member fills it. Default: imagenet."
        ),
    ] = None,
    precision: Precision = "float32",
    distribute: Distribute = "auto",
    patient: PatientPattern = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Where the films come from and under what licence; told in the model card."
        ),
    ] = None,
) -> None:
    """Train the members; stop it at any time, and the same command goes on."""
    from train.dataset import kermany_folder
    from train.options import TrainingOptions, plan
    from train.quiet import import_keras

    options = TrainingOptions(
        run,
        kermany_folder(data),
        recipe,
        tuple(member or ()),
        tuple(fold or ()),
        search_path(init, "imagenet"),
        precision,
        patient,
        source,
        distribute,
    )
    asked = plan(options)
    import_keras()
    from train.session import train_members

    with resumable(run):
        train_members(options, asked)


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
    from train.dataset import kermany_folder
    from train.examination import EvaluationOptions, examine

    examine(
        EvaluationOptions(
            kermany_folder(data),
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
app.command("pretrain")(pretrain_command.command)
app.command("ablate")(ablate_command.command)
