"""`pneumo-edge train`: fit, pretrain, ablate, fuse, evaluate, samples."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from train import samples
from train.extra import require_train_extra

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


Distribute = Annotated[
    str,
    typer.Option(
        help="Devices to train on: auto (all GPUs or TPUs, or the CPU), none (one), or how many."
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
        os.pathsep.join(init or ["imagenet"]),
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
        list[str] | None,
        typer.Option(
            help="Folder with the ImageNet weights of ResNet50, the teacher, and of the layers that stay "
            "frozen; may be given again. Default: ../shared/init."
        ),
    ] = None,
    precision: Precision = "float32",
    distribute: Distribute = "auto",
) -> None:
    """Teach members that have no ImageNet weights what ResNet50 sees in radiographs without labels.

    Stop it at any time, and the same command goes on.
    """
    from train.options import PretrainOptions, plan_pretraining
    from train.quiet import import_keras

    options = PretrainOptions(
        tuple(films or ()),
        out,
        recipe,
        tuple(member or ()),
        os.pathsep.join(init or ["../shared/init"]),
        precision,
        distribute,
    )
    asked = plan_pretraining(options)
    import_keras()
    from train.pretrain_session import pretrain_members

    with resumable(out):
        pretrain_members(options, asked)


@app.command()
def ablate(
    vary: Annotated[
        str,
        typer.Option(
            help="Changes, with commas between them: pretraining, freezing, class_weights, augmentation, "
            "averaging, teacher, recipe=NAME."
        ),
    ] = "pretraining,freezing,class_weights,augmentation,recipe=paper",
    data: Data = None,
    out: Annotated[Path, typer.Option(help="Folder for the trainings and the tables.")] = Path(
        "runs/ablation"
    ),
    recipe: Annotated[str, typer.Option(help="paper, best, or a JSON file.")] = "best",
    member: Annotated[str, typer.Option(help="Which member.")] = "vgg19",
    images: Annotated[int, typer.Option(min=2, help="Films through each training.")] = 2048,
    epochs: Annotated[int, typer.Option(min=1, help="That they are divided into.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each variant.")] = 1,
    init: Annotated[
        list[str] | None,
        typer.Option(help="As of `train fit`: pre-trained weights first. Default: imagenet."),
    ] = None,
    plain: Annotated[
        list[str] | None,
        typer.Option(help="Initial weights without pre-training. Default: imagenet."),
    ] = None,
    precision: Precision = "float32",
    distribute: Distribute = "auto",
) -> None:
    """Train variants of a recipe at small scale, and tabulate what each change costs.

    A stopped ablation goes on where it was; what is finished is not trained again.
    """
    from train.dataset import kermany_folder
    from train.options import AblationOptions, plan_ablation
    from train.quiet import import_keras

    options = AblationOptions(
        kermany_folder(data),
        out,
        recipe,
        member,
        tuple(part.strip() for part in vary.split(",") if part.strip()),
        images,
        epochs,
        seeds,
        os.pathsep.join(init or ["imagenet"]),
        os.pathsep.join(plain or ["imagenet"]),
        precision,
        distribute,
    )
    asked = plan_ablation(options)
    import_keras()
    from train.ablate import run_ablation

    with resumable(out):
        run_ablation(options, asked)


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
