"""`pneumo-edge train pretrain`."""

from pathlib import Path
from typing import Annotated

import typer

from train.arguments import Distribute, Precision, resumable, search_path


def command(
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
        search_path(init, "../shared/init"),
        precision,
        distribute,
    )
    asked = plan_pretraining(options)
    import_keras()
    from train.pretrain_session import pretrain_members

    with resumable(out):
        pretrain_members(options, asked)
