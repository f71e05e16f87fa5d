"""What a bundle knows of the films that its fusion was fitted on."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.errors import BundleError

FILE = "held_out.npz"


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Films that no figure is reported on, by number: no name, no patient."""

    probabilities: NDArray[np.float32]
    """(n, members) in [0, 1], in the manifest's order of the members; n at least 1."""

    labels: NDArray[np.uint8]
    """(n,), 1 for pneumonia."""


def read_held_out(bundle: Bundle) -> HeldOut | None:
    """The bundle's held-out probabilities; None where it carries none.

    Raises:
        BundleError: they are not what the runtime can use.
    """
    if FILE not in bundle.manifest.files:
        return None
    model = bundle.model(FILE)
    try:
        stored = io.BytesIO(model) if isinstance(model, bytes) else model
        with np.load(stored, allow_pickle=False) as arrays:
            found = HeldOut(arrays["probabilities"], arrays["labels"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise _bad(bundle, f"cannot be read ({err})") from None
    shape = (len(found.labels), len(bundle.manifest.members))
    if found.probabilities.shape != shape or not len(found.labels):
        raise _bad(bundle, f"has {found.probabilities.shape} probabilities where {shape} belong")
    if not np.all((found.probabilities >= 0) & (found.probabilities <= 1)):  # a NaN is in neither
        raise _bad(bundle, "has a probability outside 0 to 1")
    return found


def _bad(bundle: Bundle, problem: str) -> BundleError:
    return BundleError(f"{bundle.path / FILE} {problem}", "pack it again with pneumo-edge convert")
