"""`pneumo-edge bundle`: show what a bundle is, verify that it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pneumo_edge import render, threads

app = typer.Typer(no_args_is_help=True, help="Show or verify a bundle.")

BundleArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[BUNDLE]", help="Its folder or .zip; without it, the one that ships."),
]


@app.command()
def show(
    bundle: BundleArgument = None,
    json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
) -> None:
    """Say what is in a bundle and how well it did."""
    import msgspec

    from pneumo_edge.bundle import load_bundle
    from pneumo_edge.bundle_page import page

    loaded = load_bundle(bundle)
    if json:
        text = msgspec.json.format(msgspec.json.encode(loaded.manifest), indent=2)
        typer.echo(text)
    else:
        typer.echo(page(loaded))


@app.command()
def verify(bundle: BundleArgument = None) -> None:
    """Check schema and hashes, load every model, and run each once."""
    import numpy as np

    from pneumo_edge import engines
    from pneumo_edge.bundle import load_bundle
    from pneumo_edge.ensemble import Ensemble
    from pneumo_edge.types import SIDE, InputTensor

    loaded = load_bundle(bundle)
    ensemble = Ensemble(loaded, engines.choose("auto"), threads.available())
    for grey in (0, 128, 255):
        ensemble.score(InputTensor(np.full((1, SIDE, SIDE, 1), grey, np.uint8)))
    members = ", ".join(member.name for member in loaded.manifest.members)
    typer.echo(
        f"{render.paint('ok', 'normal')}  bundle {loaded.id}: {len(loaded.manifest.files)} files"
        f" with the right hashes; {members} and the fusion run on engine {ensemble.engine.name}"
    )
