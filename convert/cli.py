"""`pneumo-edge convert`: a float run to an int8 bundle."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pneumo_edge import threads as cores
from train.extra import require_train_extra

NEEDED = ("tensorflow", "keras", "sklearn", "litert_quantizer")

Scheme = Literal["int8", "dynamic", "int16", "float16"]
"""As convert.quantize has it, which is not imported to show --help."""

app = typer.Typer()


@app.command()
def convert(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder of a run that was trained and fused; with --gate-only, a bundle."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the bundle to make.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="The data set, with train/ and test/. "
            "Default: $PNEUMO_EDGE_DATA/kermany, or ../shared/data/kermany.",
        ),
    ] = None,
    representative: Annotated[
        int,
        typer.Option(min=2, help="Training films on which the activations' ranges are measured."),
    ] = 128,
    seed: Annotated[int, typer.Option(help="Of the draw of those films.")] = 20,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Cores to use. Default: all that there are.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write parity as JSON, with every film whose label flipped."),
    ] = None,
    external: Annotated[
        Path | None,
        typer.Option(
            help="Films from elsewhere, with normal/ and pneumonia/: measured, and told in the model card."
        ),
    ] = None,
    external_patient: Annotated[
        str | None, typer.Option(help="Their patient pattern, as --patient of `train fit`.")
    ] = None,
    scheme: Annotated[
        Scheme, typer.Option(help="How members are quantized; see docs/quantization.md.")
    ] = "int8",
    accept_parity: Annotated[
        bool,
        typer.Option(
            "--accept-parity", help="Write the bundle though parity is over the recipe's budget."
        ),
    ] = False,
    gate: Annotated[bool, typer.Option(help="Fit the input gate; see docs/gate.md.")] = True,
    gate_films: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of further frontal chest radiographs, without labels, that the gate should let through. "
            "Default: each folder in pretrain/ beside the data set."
        ),
    ] = None,
    gate_only: Annotated[
        bool,
        typer.Option(
            "--gate-only", help="Copy the bundle RUN with a gate that is fitted anew to --data."
        ),
    ] = False,
    zipped: Annotated[bool, typer.Option("--zip", help="Write <BUNDLE>.zip too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
) -> None:
    """Quantize a trained ensemble to int8, and measure what that changed.

    The four members become one int8 backbone each, their classifiers and the fusion one small head.
    Parity with the float32 members is measured on the test split by the runtime that is deployed, and
    must keep within the budget of the run's recipe.
    """
    require_train_extra("conversion", NEEDED)
    from convert.pack import refuse_existing
    from train.quiet import import_keras
    from train.record import training_record
    from train.run import Run

    folders = tuple(gate_films) if gate_films else None
    if gate_only:
        from convert.gate import GateOptions
        from convert.session import run_refit
        from train.dataset import KERMANY, kermany_folder

        run_refit(
            GateOptions(
                bundle=run,
                out=out,
                data=kermany_folder(data),
                folders=folders,
                external=external,
                patient=KERMANY,
                seed=seed,
                threads=threads if threads is not None else cores.available(),
                force=force,
            )
        )
        return
    # What can be refused without TensorFlow is refused before it, and its seconds, are loaded.
    refuse_existing(out, force)
    training_record(Run(run))
    import_keras()
    from convert.conversion import ConversionOptions
    from convert.session import run_conversion
    from train.dataset import KERMANY, kermany_folder

    run_conversion(
        ConversionOptions(
            run=run,
            out=out,
            data=kermany_folder(data),
            representative=representative,
            seed=seed,
            threads=threads if threads is not None else cores.available(),
            force=force,
            external=external,
            external_patient=external_patient if external_patient is not None else KERMANY,
            zipped=zipped,
            scheme=scheme,
            accept_parity=accept_parity,
            gate=gate,
            gate_films=folders,
        ),
        report,
    )
