"""The command line: parse, call, print; one place turns errors into exit codes."""

from __future__ import annotations

import errno
import sys
from enum import Enum
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pneumo_edge import bundle_cli, render, threads
from pneumo_edge.errors import MissingExtraError, PneumoEdgeError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

GROUP = "pneumo_edge.commands"
"""Entry points of the other stages' commands."""

EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "sklearn": "train",
    "matplotlib": "train",
    "litert_quantizer": "train",
    "psutil": "bench",
    "openvino": "openvino",
    "pydicom": "dicom",
    "starlette": "kiosk",
    "uvicorn": "kiosk",
}
"""The extra that brings a module which a command may fail to import."""


class Commands(TyperGroup):
    """The commands of this package, then those of other stages, imported when they are named."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return own + sorted(entry.name for entry in _entries() if entry.name not in own)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in _entries():
            if entry.name == cmd_name:
                try:
                    command: Any = typer.main.get_command(entry.load())
                except ModuleNotFoundError as err:
                    return _absent(cmd_name, err)
                command.name = cmd_name
                return command
        return None


def _entries() -> EntryPoints:
    from importlib import metadata  # a twentieth of a second that `infer` has no need of

    return metadata.entry_points(group=GROUP)


def _absent(name: str, reason: ModuleNotFoundError) -> Any:
    """A command that says, once it is called, what it lacks; until then it can be listed."""
    extra = EXTRAS.get((reason.name or "").partition(".")[0])
    stub = typer.Typer()

    @stub.command(
        name,
        help=f"Needs pneumo-edge[{extra}]." if extra else "Not installed.",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        add_help_option=False,
    )
    def missing() -> None:
        raise reason

    return typer.main.get_command(stub)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(bundle_cli.app, name="bundle")


class OperatingPoint(str, Enum):
    """The thresholds that a bundle may carry."""

    paper = "paper"
    balanced = "balanced"
    screening = "screening"


class EngineChoice(str, Enum):
    """The engines that can be asked for."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    tflite_runtime = "tflite-runtime"
    openvino = "openvino"


class PhotoChoice(str, Enum):
    """Whether a film is taken out of a photo of it."""

    auto = "auto"
    always = "always"
    never = "never"


class DicomChoice(str, Enum):
    """What goes back into a film's study."""

    report = "report"
    picture = "picture"
    both = "both"


def _version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        typer.echo(f"pneumo-edge {metadata.version('pneumo-edge')}")
        raise typer.Exit


def _threads(asked: int | None) -> int | None:
    cores = threads.available()
    if asked is not None and not 1 <= asked <= cores:
        raise typer.BadParameter(f"{asked} is not in the range 1 to {cores}, the cores here")
    return asked


@app.callback(epilog=render.NOTICE)
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    """Screen chest radiographs for pneumonia with a quantized ensemble, offline."""


BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", help="A bundle's folder or .zip; without it, the one that ships."),
]
EngineOption = Annotated[
    EngineChoice,
    typer.Option("--engine", help="auto takes what was measured here, else the first."),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads", callback=_threads, help="Cores to use; all by default.", show_default=False
    ),
]


@app.command()
def infer(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Files, folders (recursively), quoted patterns, or - for standard input.",
            show_default=False,
        ),
    ],
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object; an array for several images.")
    ] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="One JSON object a line.")] = False,
    csv: Annotated[
        str | None,
        typer.Option("--csv", metavar="FILE", help="Write a CSV file too; - for standard output."),
    ] = None,
    operating_point: Annotated[
        OperatingPoint, typer.Option(help="Which of the bundle's thresholds decides.")
    ] = OperatingPoint.paper,
    early_exit: Annotated[
        bool,
        typer.Option("--early-exit", help="Stop at the member that decides the label: y unknown."),
    ] = False,
    photo: Annotated[
        PhotoChoice,
        typer.Option(help="Take a film out of a photo of it: where it is certain, always, never."),
    ] = PhotoChoice.auto,
    gate: Annotated[
        bool,
        typer.Option(help="Refuse what is no frontal chest radiograph; see docs/gate.md."),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Read a DICOM file even if it is no radiograph.")
    ] = False,
    sandbox: Annotated[
        bool,
        typer.Option(help="Decode in a process of bounded memory and time, for others' files."),
    ] = False,
    dicom_out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each DICOM film's result into its study, here."),
    ] = None,
    dicom_kind: Annotated[
        DicomChoice, typer.Option(help="As a structured report, a picture, or both.")
    ] = DicomChoice.report,
    overlay: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write each film with its heat map here, as PNG."),
    ] = None,
    overlay_opacity: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="SHARE", help="Of a full colour.  [default: 0.6]"),
    ] = None,
    overlay_positive: Annotated[
        bool,
        typer.Option("--overlay-positive", help="Leave out what speaks for normal."),
    ] = False,
    engine: EngineOption = EngineChoice.auto,
    cores: ThreadsOption = None,
    bundle: BundleOption = None,
) -> None:
    """Screen images. Exit code 1 if any of them could not be read."""
    if json + jsonl + (csv == "-") > 1:
        raise typer.BadParameter("--json, --jsonl and --csv - all want standard output; choose one")
    if overlay is None and (overlay_opacity is not None or overlay_positive):
        raise typer.BadParameter("--overlay-opacity and --overlay-positive need --overlay DIR")
    from pneumo_edge import bundle as bundles

    # The hashes are checked on another core while numpy, OpenCV and the engine are imported.
    opening = bundles.load_ahead(bundle)
    from pneumo_edge import batch

    request = batch.Request(
        images=tuple(images),
        form="json" if json else "jsonl" if jsonl else "csv" if csv == "-" else "text",
        csv=None if csv == "-" else csv,
        operating_point=operating_point.value,
        engine=engine.value,
        threads=cores,
        bundle=opening,
        early_exit=early_exit,
        photo=photo.value,
        gate=gate,
        force=force,
        sandbox=sandbox,
        dicom_out=dicom_out,
        dicom_kind=dicom_kind.value,
        overlay=overlay,
        overlay_opacity=overlay_opacity,
        overlay_signed=not overlay_positive,
    )
    if not batch.run(request):
        raise typer.Exit(1)


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
    engine: EngineOption = EngineChoice.auto,
    measure: Annotated[
        bool, typer.Option("--measure", help="Try every engine, and keep what auto should take.")
    ] = False,
    bundle: BundleOption = None,
) -> None:
    """Check this installation, with a remedy for what is wrong. Exit code 1 if anything fails."""
    import msgspec

    from pneumo_edge import doctor as examiner

    failed = False
    for check in examiner.examine(bundle, engine.value, measure):
        failed = failed or check.state == "fail"
        typer.echo(msgspec.json.encode(check) if json else render.check(check))
    if failed:
        raise typer.Exit(1)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # JSON is UTF-8 whatever the locale; no file name may stop a batch.
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    try:
        app()
    except PneumoEdgeError as err:
        _fail(err)
    except OSError as err:
        if err.errno != errno.ENOSPC:
            raise
        _fail(PneumoEdgeError("the disk is full, so that the output is cut off", "free some of it"))
    except ModuleNotFoundError as err:
        extra = EXTRAS.get((err.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(
            MissingExtraError(
                f"this command needs {err.name}, which is not installed",
                f"run: pip install 'pneumo-edge[{extra}]'",
            )
        )


def _fail(err: PneumoEdgeError) -> None:
    typer.echo(render.error_text(str(err)), err=True)
    raise SystemExit(err.exit_code) from None
