"""Initial weights from files: Keras weight files, and named arrays in .npz."""

from __future__ import annotations

import os
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError
from train.run import PARTIAL, whole

NOTE = "pneumo_edge"
"""The attribute of a Keras weights file that tells where its weights come from."""

# What can fill which base. VGG16's blocks 1 to 3 are the first convolutions of VGG19's: the same
# shapes and names, so they start from the same file. Keras publishes each base with a top too.
_FILES = {
    "vgg16": ("vgg16*notop*.h5", "vgg16*.h5", "vgg16*.npz", "vgg19*imagenet*.npz"),
    "vgg19": ("vgg19*notop*.h5", "vgg19*.h5", "vgg19*.npz"),
    "resnet50": ("resnet50*notop*.h5", "resnet50*.h5", "resnet50*.npz"),
    "xception": ("xception*notop*.h5", "xception*.h5", "xception*.npz"),
}


def find(folder: Path, name: str) -> Path | None:
    """The file of a folder that can initialise a member, or None."""
    for pattern in _FILES.get(name, ()):
        for path in sorted(folder.glob(pattern)):
            if PARTIAL not in path.name:
                return path
    return None


def _array(file: Any, key: str) -> NDArray[np.float32] | None:
    """A tensor by name; kernels may be stored as uint8 with one scale and zero point."""
    if key in file.files:
        return np.asarray(file[key], dtype=np.float32)
    if f"{key}_u8" in file.files:
        layer = key.rsplit("/", 1)[0]
        levels = file[f"{key}_u8"].astype(np.float32) - np.float32(file[f"{layer}/zero_point"])
        return np.asarray(levels * np.float32(file[f"{layer}/scale"]), dtype=np.float32)
    return None


def _layer_values(file: Any, layer: Any) -> list[NDArray[np.float32] | None] | None:
    """A layer's weights in its own order, None for one that is missing; None if all are."""
    values = [_array(file, f"{layer.name}/{weight.name}") for weight in layer.weights]
    if all(value is None for value in values):
        return None
    return [
        # A convolution in front of a BatchNorm may be stored without its bias, which is zero.
        np.zeros(weight.shape, np.float32) if value is None and weight.name == "bias" else value
        for weight, value in zip(layer.weights, values, strict=True)
    ]


def _read_npz(base: Any, path: Path) -> dict[str, list[NDArray[np.float32] | None]]:
    """What a file has for the layers of a base, by the layer's name.

    Raises:
        RecipeError: the file is no .npz, or is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {layer.name: _layer_values(file, layer) for layer in base.layers}
    # AttributeError and TypeError: a single array (.npy) has no names, and is no context.
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as err:
        raise RecipeError(
            f"{path} cannot be read as .npz: {err}", "pass another weights file"
        ) from None
    return {name: values for name, values in found.items() if values is not None}


def load_npz(base: Any, path: Path) -> list[str]:
    """Fill the layers of a base whose names the file knows.

    Args:
        base: A Keras base; changed in place, or not at all.
        path: Arrays called `<layer>/<weight>` (kernel, bias, gamma, ...), in the channel order that
            the base's ImageNet weights have. A kernel may be `kernel_u8`, with `scale` and `zero_point`.

    Returns:
        Names of the layers that were filled, in the order of the base.

    Raises:
        RecipeError: the file is no .npz, an array has another shape or is not finite, or no layer matches.
    """
    found = _read_npz(base, path)
    if not found:
        raise RecipeError(
            f"{path} has no layer of {base.name}", "pass the weights of this architecture"
        )
    for name, values in found.items():
        for weight, value in zip(base.get_layer(name).weights, values, strict=True):
            expected = tuple(weight.shape)
            if value is None or value.shape != expected:
                got = "nothing" if value is None else f"shape {value.shape}"
                raise RecipeError(
                    f"{path}: {name}/{weight.name} is {got}, expected {expected}",
                    "pass the weights of this architecture",
                )
            if not np.isfinite(value).all():
                raise RecipeError(
                    f"{path}: {name}/{weight.name} has values that are no finite numbers",
                    "pass another weights file",
                )
    for name, values in found.items():
        base.get_layer(name).set_weights(values)
    return list(found)


@dataclass(frozen=True, slots=True)
class Filled:
    """What a file filled in a base."""

    file: Path
    layers: tuple[str, ...]
    """Names of the layers that have weights now, in the order of the base."""
    whole: bool
    """Whether that is every layer that has any."""
    note: str
    """Where the weights come from, as their file tells it, or empty."""

    def __str__(self) -> str:
        what = "whole base" if self.whole else _span(self.layers)
        return f"{self.file.name}: {what}" + (f", {self.note}" if self.note else "")


def _span(layers: tuple[str, ...]) -> str:
    return f"{len(layers)} layers, {layers[0]} to {layers[-1]}"


def _first(source: str, name: str) -> Path | None:
    """The first file of a search path that is named or fits.

    Raises:
        RecipeError: a part of the path does not exist.
    """
    for path in map(Path, source.split(os.pathsep)):
        if path.is_file():
            return path
        if not path.is_dir():
            raise RecipeError(f"no weights file {path}", "pass imagenet, none, a file or a folder")
        fitting = find(path, name)
        if fitting is not None:
            return fitting
    return None


def fill(base: Any, name: str, source: str) -> Filled | None:
    """Fill a member's base from a file, or from a folder of files.

    Args:
        base: From `train.members.build_base`; changed in place.
        name: The member.
        source: A .npz or Keras weights file (.h5, .weights.h5), or a folder in which one fits the member;
            or several with the system's path separator between them, of which the first that fits is read.

    Returns:
        What was filled; None where no folder has a file that fits, and then nothing was.

    Raises:
        RecipeError: the file is missing or of another architecture.
    """
    path = _first(source, name)
    if path is None:
        return None
    if path.suffix == ".npz":
        return Filled(path, tuple(load_npz(base, path)), whole=False, note="")
    _load_keras(base, name, path)
    weighted = tuple(layer.name for layer in base.layers if layer.weights)
    return Filled(path, weighted, whole=True, note=read_note(path))


def _load_keras(base: Any, name: str, path: Path) -> None:
    try:
        with warnings.catch_warnings():
            # Of layers that a .weights.h5 does not know, Keras only warns, and leaves them at random.
            warnings.simplefilter("error", UserWarning)
            base.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, UserWarning) as err:
        # Keras' messages run over several lines.
        why = " ".join(str(err).split())
        raise RecipeError(
            f"{path} does not fill {name}: {why}",
            "pass the weights of this base without its top: a Keras download (..._notop.h5), what "
            "save_weights wrote (.weights.h5), or a .npz",
        ) from None


def save_base(base: Any, path: Path, note: str) -> None:
    """Write the weights of a base, so that `fill` can read them.

    Args:
        base: A Keras base.
        path: A file called *.weights.h5.
        note: Where the weights come from; put inside the file.

    Raises:
        RecipeError: the disk is full or the folder cannot be written.
    """
    import h5py

    with whole(path) as partial:
        base.save_weights(partial)
        with h5py.File(partial, "a") as file:
            file.attrs[NOTE] = note


def read_note(path: Path) -> str:
    """What `save_base` noted in a Keras weights file, or nothing."""
    import h5py

    with h5py.File(path) as file:
        return str(file.attrs.get(NOTE, ""))
