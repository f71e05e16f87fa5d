"""The gate of a bundle: fitted with it, or anew for one that is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from convert import pack
from convert.gate_films import beside, read_sources
from convert.gate_fit import Progress, figures, fit_gate
from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.errors import BundleError
from pneumo_edge.framing import Template, framed, read_template
from pneumo_edge.gate.statistics import FILE, decode_statistics
from pneumo_edge.manifest import CARD, GateFigures, Manifest, answer_id
from pneumo_edge.types import InputTensor
from train.card import render_card
from train.dataset import Film, list_films, load, training_films
from train.evaluate import TEST

MEMBER = "resnet50"
"""Whose features are watched. It has the largest weight in the fusion, so that early exit runs it first anyhow."""


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What the command line asked for."""

    bundle: Path
    out: Path
    data: Path
    folders: tuple[Path, ...] | None
    """Of unlabelled films; None for those beside the data set."""
    external: Path | None
    patient: str
    """Pattern of the training films."""
    seed: int
    threads: int
    force: bool


def fitted_gate(
    backbone: bytes | Path,
    template: Template | None,
    films: Sequence[Film],
    folders: Sequence[Path],
    others: Mapping[str, NDArray[np.uint8]],
    seed: int,
    threads: int,
    progress: Progress,
) -> tuple[bytes, GateFigures]:
    """`gate.npz`, and how it does.

    Args:
        backbone: Of `MEMBER`, int8.
        template: By which films are framed before that one sees them.
        films: Training films; nothing is fitted on any others but those of `folders`.
        folders: Of further frontal chest radiographs, without labels, so that films of other hospitals pass.
        others: Prepared films to report on, by name.
        seed: Of every draw.
        threads: For the backbone.
        progress: See `convert.conversion`.

    Raises:
        DatasetError: there are too few films.
    """
    backbone_features = choose("cpu").backbone(backbone, MEMBER, threads).features

    def features(film: InputTensor) -> NDArray[np.float32]:
        seen, _ = framed(template, film)
        return backbone_features(seen.signed)

    sources = read_sources(films, folders, seed, progress)
    statistics, fitted = fit_gate(sources, MEMBER, features, seed, progress)
    content = statistics.encode()
    held_out = {f"held-out {source.name}": source.held_out for source in sources}
    read_back = decode_statistics(content)  # what the runtime will work with
    measured = figures(read_back, fitted, held_out | dict(others), features, seed, progress)
    return content, measured


def refit(options: GateOptions, progress: Progress) -> Manifest:
    """Write a copy of a bundle with a gate fitted anew; nothing else of it changes.

    Raises:
        PneumoEdgeError: bad bundle, data or target. What was at the target stays.
    """
    pack.refuse_existing(options.out, options.force)
    bundle = load_bundle(options.bundle)
    (member,) = (m for m in bundle.manifest.members if m.name == MEMBER)
    folders = beside(options.data) if options.folders is None else options.folders
    films = training_films(options.data, options.patient)
    others = {}
    if (options.data / TEST).is_dir():
        others[TEST] = load(list_films(options.data / TEST, options.patient)).tensors
    if options.external is not None:
        others[options.external.name] = load(list_films(options.external)).tensors
    content, measured = fitted_gate(
        bundle.model(member.file),
        read_template(bundle),
        films,
        folders,
        others,
        options.seed,
        options.threads,
        progress,
    )
    files = {name: bundle.content(name) for name in bundle.manifest.files} | {FILE: content}
    manifest = with_gate(bundle.manifest, files, measured)
    files[CARD] = _card(manifest)
    manifest = msgspec.structs.replace(manifest, files=pack.digests(files))
    pack.write(options.out, manifest, files, options.force)
    return manifest


def with_gate(manifest: Manifest, files: Mapping[str, bytes], measured: GateFigures) -> Manifest:
    """A manifest that tells of a gate: its files, and so its id, are others."""
    manifest = msgspec.structs.replace(manifest, gate=measured, files=pack.digests(files))
    return msgspec.structs.replace(manifest, id=answer_id(manifest))


def _card(manifest: Manifest) -> bytes:
    try:
        return render_card(manifest).encode()
    except (KeyError, TypeError) as err:
        raise BundleError(
            f"bundle {manifest.id} does not say where it comes from ({err})",
            "name a bundle that pneumo-edge convert made",
        ) from None
