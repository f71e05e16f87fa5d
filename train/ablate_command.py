"""`pneumo-edge train ablate`."""

from pathlib import Path
from typing import Annotated

import typer

from train.arguments import Data, Distribute, Precision, resumable, search_path


def command(
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
        search_path(init, "imagenet"),
        search_path(plain, "imagenet"),
        precision,
        distribute,
    )
    asked = plan_ablation(options)
    import_keras()
    from train.ablate import run_ablation

    with resumable(out):
        run_ablation(options, asked)
