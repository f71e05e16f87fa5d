"""Converted members that a run keeps, so that a conversion that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

import convert
from convert.head import Classifier
from convert.member import ConvertedMember, MemberOptions, MemberReport
from convert.representative import RepresentativeSet
from pneumo_edge.manifest import Grid, Struct
from train.run import whole

FOLDER = "converted"
"""Of a run: a file for each member, and no more than one."""

ARRAYS = ("hidden_kernel", "hidden_bias", "output_kernel", "output_bias")


class _Told(Struct, frozen=True):
    """What of a converted member is no array."""

    key: str
    name: str
    shape: tuple[int, int, int]
    pools: bool
    scheme: str
    report: MemberReport
    grid: Grid


def key_of(
    model: bytes, chosen: RepresentativeSet, options: MemberOptions, versions: Mapping[str, str]
) -> str:
    """A digest of all that a converted member depends on.

    Args:
        model: The trained member's file.
        chosen: The representative films.
        options: As it is converted; the number of threads has no part in the result.
        versions: Of the tools, by name.
    """
    sources = sorted(Path(convert.__file__).parent.glob("*.py"))
    told = (options.scheme, options.budget, sorted(versions.items()))
    digest = hashlib.sha256(msgspec.json.encode(told))
    for part in (model, *(_described(x) for x in (chosen.pixels, chosen.check))):
        digest.update(hashlib.sha256(part).digest())
    for source in sources:  # another version of this code may convert otherwise
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def _described(pixels: NDArray[np.uint8]) -> bytes:
    return repr(pixels.shape).encode() + pixels.tobytes()


def kept_or_made(
    run: Path, name: str, key: str, make: Callable[[], ConvertedMember]
) -> ConvertedMember:
    """The member that a run keeps under the key; else one that is made, and kept in its place.

    Args:
        run: The run's folder.
        name: Of the member.
        key: From `key_of`.
        make: Converts it.

    Raises:
        RecipeError: it cannot be written.
    """
    path = run / FOLDER / f"{name}.npz"
    found = _read(path, key)
    if found is not None:
        return found
    made = make()
    part = made.classifier
    told = _Told(key, part.name, part.shape, part.pools, made.scheme, made.report, made.grid)
    with whole(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            tflite=np.frombuffer(made.tflite, np.uint8),
            told=np.frombuffer(msgspec.json.encode(told), np.uint8),
            **{array: getattr(part, array) for array in ARRAYS},
        )
    return made


def _read(path: Path, key: str) -> ConvertedMember | None:
    """None where there is none, it is another one, or it is torn."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            told = msgspec.json.decode(stored["told"].tobytes(), type=_Told)
            if told.key != key:
                return None
            arrays = {array: stored[array] for array in ARRAYS}
            tflite = stored["tflite"].tobytes()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.DecodeError):
        return None
    part = Classifier(told.name, told.shape, told.pools, **arrays)
    return ConvertedMember(tflite, part, told.scheme, told.report, told.grid)
