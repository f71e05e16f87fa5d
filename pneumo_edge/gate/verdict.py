"""The gate: cheap signals and the film's pose before the members run, the distance of features after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.gate import signals
from pneumo_edge.gate.pose import Pose, see, upright
from pneumo_edge.gate.statistics import Statistics, read_statistics
from pneumo_edge.prepare import prepare
from pneumo_edge.types import GateVerdict, InputTensor, Radiograph

NO_GATE = "name a frontal chest radiograph, or pass --no-gate to have it scored all the same"


class NotAChestFilmError(BadRadiographError):
    """The gate refuses a picture; `verdict` has the reasons."""

    def __init__(self, source: str, verdict: GateVerdict) -> None:
        super().__init__(
            f"{source} is refused by the gate: it {', and '.join(verdict.reasons)}", NO_GATE
        )
        self.verdict = verdict


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A film that passed the first half of the gate."""

    film: Radiograph
    """Set right where it lay otherwise and that is certain."""
    tensor: InputTensor
    """Of `film`."""
    verdict: GateVerdict
    """So far; never refuse."""


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A bundle's gate, for several threads."""

    statistics: Statistics | None
    """None: only the cheap signals are looked at."""

    @classmethod
    def of(cls, bundle: Bundle) -> Gate:
        """The gate that a bundle carries.

        Raises:
            BundleError: its statistics cannot be used.
        """
        return cls(read_statistics(bundle))

    @property
    def member(self) -> str | None:
        """Whose features `judge` wants; None where it wants none."""
        return self.statistics.member if self.statistics else None

    def look(self, film: Radiograph, tensor: InputTensor) -> Looked:
        """Cheap signals, then the pose; sets the film right where that is certain.

        Args:
            film: As decoded.
            tensor: The same, prepared.

        Raises:
            NotAChestFilmError: the cheap signals refuse it.
        """
        known = self.statistics
        notes = signals.look(film, tensor, known.bounds if known else None)
        told = tuple(note.says for note in notes)
        if any(note.refuse for note in notes):
            refused = tuple(note.says for note in notes if note.refuse)
            raise NotAChestFilmError(film.source, GateVerdict("refuse", refused))
        corrected = None
        if known is not None:
            film, tensor, corrected, more = _pose(known, film, tensor)
            told += more
        verdict = GateVerdict("warn" if told else "accept", told, corrected)
        return Looked(film, tensor, verdict)

    def judge(
        self, source: str, so_far: GateVerdict, pooled: NDArray[np.float32] | None
    ) -> GateVerdict:
        """The verdict, once the member has run.

        Args:
            source: What the film is called.
            so_far: As `look` gave it.
            pooled: (channels,) of `member`, as `distance.pooled` gives them; None without statistics.

        Raises:
            NotAChestFilmError: its features are too far from those of training films.
        """
        known = self.statistics
        if known is None or pooled is None:
            return so_far
        residual = float(known.subspace.residual(pooled[None])[0])
        distance = residual / known.refuse_at
        if not residual <= known.refuse_at:  # a NaN, too
            says = f"does not look like a frontal chest radiograph (distance {distance:.2f}, refused above 1)"
            verdict = GateVerdict("refuse", (says, *so_far.reasons), so_far.corrected, distance)
            raise NotAChestFilmError(source, verdict)
        if residual <= known.warn_at:
            return replace(so_far, distance=distance)
        says = f"is unlike most training films (distance {distance:.2f}, refused above 1)"
        return GateVerdict("warn", (*so_far.reasons, says), so_far.corrected, distance)


def _pose(
    known: Statistics, film: Radiograph, tensor: InputTensor
) -> tuple[Radiograph, InputTensor, str | None, tuple[str, ...]]:
    """The film set right, what was done to it, and what there is to be told."""
    found = see(known.pose, tensor)
    corrected, told = None, []
    if found.pose != Pose() and found.probability >= known.notice_at:
        right = upright(film, found.pose)
        again = prepare(right)
        # Half a film may look turned; what still looks cropped once it is set right is not certain.
        if found.probability >= known.correct_at and not _cropped(known, again):
            corrected = found.pose.undo()
            told.append(f"{found.pose.told()}: it was {corrected} before it was scored")
            film, tensor = right, again
        else:
            told.append(
                f"perhaps {found.pose.told()} (probability {found.probability:.2f}): it was left as it is"
            )
    if (found.pose == Pose() or corrected) and found.mirrored >= known.mirror_at:
        told.append("may be mirrored, unless the heart or an opacity makes it look so")
    if _cropped(known, tensor):
        told.append("seems to be cropped: part of the lungs may be missing")
    return film, tensor, corrected, tuple(told)


def _cropped(known: Statistics, tensor: InputTensor) -> bool:
    return float(known.crop.of(tensor)[1]) >= known.crop_at
