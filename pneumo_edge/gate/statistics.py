"""What a bundle knows of the films that the gate should let through: `gate.npz`."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.errors import BundleError
from pneumo_edge.gate.distance import Subspace
from pneumo_edge.gate.perceptron import THUMBNAIL, Perceptron
from pneumo_edge.gate.pose import POSES
from pneumo_edge.gate.signals import MEASURES

FILE = "gate.npz"
MAX_BYTES = 2**22
_LAYERS = ("first", "first_bias", "second", "second_bias")


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Fitted by `pneumo-edge convert` on training films; no film can be had back from it."""

    member: str
    """Whose features are watched."""
    subspace: Subspace
    warn_at: float
    """Residual above which a film is unlike the training films, and shown with a warning."""
    refuse_at: float
    """Above which it is refused; more than `warn_at`."""
    bounds: NDArray[np.float64]
    """(3, 2): see `signals.look`."""
    pose: Perceptron
    """16 classes: see `pose.Pose.of`."""
    notice_at: float
    """Probability above which another pose than upright is told."""
    correct_at: float
    """Above which it is set right."""
    mirror_at: float
    """Probability above which an upright film is told to be mirrored."""
    crop: Perceptron
    """2 classes: whole, cropped."""
    crop_at: float
    """Probability above which a film is told to be cropped."""

    def encode(self) -> bytes:
        """As `gate.npz`."""
        subspace = self.subspace
        arrays: dict[str, Any] = {
            "member": np.array(self.member),
            "mean": subspace.mean.astype(np.float32),
            "scale": subspace.scale.astype(np.float32),
            "basis": subspace.basis.astype(np.float16),
            "thresholds": np.array(
                [
                    subspace.unit,
                    self.warn_at,
                    self.refuse_at,
                    self.notice_at,
                    self.correct_at,
                    self.mirror_at,
                    self.crop_at,
                ]
            ),
            "bounds": self.bounds.astype(np.float64),
        }
        for name, net in (("pose", self.pose), ("crop", self.crop)):
            for layer in _LAYERS:
                arrays[f"{name}_{layer}"] = getattr(net, layer).astype(np.float16)
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        return content.getvalue()


def read_statistics(bundle: Bundle) -> Statistics | None:
    """The bundle's statistics; None where it carries none.

    Raises:
        BundleError: they are not what the runtime can use.
    """
    if FILE not in bundle.manifest.files:
        return None
    data = bundle.content(FILE)
    try:
        found = decode_statistics(data)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise BundleError(
            f"{bundle.path / FILE} cannot be used ({err})",
            "pack it again with pneumo-edge convert",
        ) from None
    members = [member.name for member in bundle.manifest.members]
    if found.member not in members:
        raise BundleError(
            f"{bundle.path / FILE} watches {found.member!r}, and the members are {members}",
            "pack it again with pneumo-edge convert",
        )
    return found


def decode_statistics(data: bytes) -> Statistics:
    """From the bytes of `gate.npz`.

    Raises:
        ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile: they are none.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data)} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    channels = len(found["mean"])
    unit, warn, refuse, notice, correct, mirror, crop = (float(x) for x in found["thresholds"])
    _check("basis", found["basis"].ndim == 2 and len(found["basis"]) == channels)
    _check("scale", found["scale"].shape == (channels,) and bool((found["scale"] > 0).all()))
    _check("bounds", found["bounds"].shape == (len(MEASURES), 2))
    _check("thresholds", unit > 0 and 0 < warn <= refuse)
    _check("all of them", all(np.isfinite(a).all() for a in found.values() if a.dtype.kind == "f"))
    return Statistics(
        member=str(found["member"]),
        subspace=Subspace(found["mean"], found["scale"], found["basis"], unit),
        warn_at=warn,
        refuse_at=refuse,
        bounds=found["bounds"],
        pose=_perceptron(found, "pose", POSES),
        notice_at=notice,
        correct_at=correct,
        mirror_at=mirror,
        crop=_perceptron(found, "crop", 2),
        crop_at=crop,
    )


def _perceptron(found: dict[str, NDArray[Any]], name: str, classes: int) -> Perceptron:
    # Once in float32, which numpy multiplies fast; on the disk half of it is enough.
    layers = [found[f"{name}_{layer}"].astype(np.float32) for layer in _LAYERS]
    first, first_bias, second, second_bias = layers
    hidden = len(first_bias)
    _check(f"{name}_first", first.shape == (THUMBNAIL**2, hidden))
    _check(f"{name}_second", second.shape == (hidden, classes) and second_bias.shape == (classes,))
    return Perceptron(first, first_bias, second, second_bias)


def _check(name: str, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name} is of the wrong shape or range")
