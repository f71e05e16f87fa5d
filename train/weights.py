"""Initial weights from files: Keras weight files, and named arrays in .npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.errors import RecipeError
from train.members import base_of

# What can fill which base. VGG16's blocks 1 to 3 are the first convolutions of VGG19's: the same
# shapes and names, so they start from the same file.
_FILES = {
    "vgg16": ("vgg16*.h5", "vgg16*.npz", "vgg19*imagenet*.npz"),
    "vgg19": ("vgg19*.h5", "vgg19*.npz"),
    "resnet50": ("resnet50*.h5", "resnet50*.npz"),
    "xception": ("xception*.h5", "xception*.npz"),
}


def find(folder: Path, name: str) -> Path | None:
    """The file of a folder that can initialise a member, or None."""
    for pattern in _FILES.get(name, ()):
        for path in sorted(folder.glob(pattern)):
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


def load_npz(base: Any, path: Path) -> list[str]:
    """Fill the layers of a base whose names the file knows.

    Args:
        base: A Keras base; changed in place.
        path: Arrays called `<layer>/<weight>` (kernel, bias, gamma, ...), in the channel order that
            the base's ImageNet weights have. A kernel may be `kernel_u8`, with `scale` and `zero_point`.

    Returns:
        Names of the layers that were filled, in the order of the base.

    Raises:
        RecipeError: the file is no .npz, an array has another shape, or no layer matches.
    """
    filled = []
    try:
        file = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as err:
        raise RecipeError(
            f"{path} cannot be read as .npz: {err}", "pass another weights file"
        ) from None
    with file:
        for layer in base.layers:
            values = {w.path: _array(file, f"{layer.name}/{w.name}") for w in layer.weights}
            # A convolution in front of a BatchNorm may be stored without its bias, which is zero.
            if not values or all(v is None for v in values.values()):
                continue
            for weight in layer.weights:
                value = values[weight.path]
                if value is None and weight.name == "bias":
                    value = np.zeros(weight.shape, np.float32)
                if value is None or value.shape != tuple(weight.shape):
                    got = "nothing" if value is None else f"shape {value.shape}"
                    raise RecipeError(
                        f"{path}: {layer.name}/{weight.name} is {got}, expected {tuple(weight.shape)}",
                        "pass the weights of this architecture",
                    )
                weight.assign(value)
            filled.append(layer.name)
    if not filled:
        raise RecipeError(
            f"{path} has no layer of {base.name}", "pass the weights of this architecture"
        )
    return filled


def initialise(model: Any, name: str, source: str) -> str:
    """Fill a member's base from a file or a folder of files.

    Args:
        model: From `train.members.build_member`; its base is changed in place.
        name: The member.
        source: A .npz or Keras weights file (.h5), or a folder in which one fits the member.
            A folder without one leaves the member as it is.

    Returns:
        What was done, for the run's record.

    Raises:
        RecipeError: the file is missing or of another architecture.
    """
    path = Path(source)
    if path.is_dir():
        fitting = find(path, name)
        if fitting is None:
            return f"none: no file for {name} in the folder"
        path = fitting
    if not path.is_file():
        raise RecipeError(f"no weights file {source}", "pass imagenet, none, a file or a folder")
    base = base_of(model, name)
    if path.suffix == ".npz":
        filled = load_npz(base, path)
        return f"{path.name}: {len(filled)} layers, {filled[0]} to {filled[-1]}"
    try:
        base.load_weights(path)
    except (ValueError, OSError) as err:
        raise RecipeError(f"{path}: {err}", "pass the weights of this architecture") from None
    return f"{path.name}: whole base"
