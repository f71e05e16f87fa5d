"""Files through the gate as `infer` sends them: what it says of each, and of each when it lies otherwise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.decode import decode
from pneumo_edge.engines import choose
from pneumo_edge.errors import BadRadiographError
from pneumo_edge.framing import framed, read_template
from pneumo_edge.gate.distance import pooled
from pneumo_edge.gate.pose import Pose
from pneumo_edge.gate.verdict import Gate, NotAChestFilmError
from pneumo_edge.limits import MIN_SIDE
from pneumo_edge.prepare import prepare
from pneumo_edge.sources import Source, expand
from pneumo_edge.types import GateVerdict, Radiograph

NORMAL_975 = 1.959964
"""The 97.5 % quantile of the normal distribution."""
ENLARGED = 192
"""Pixels to which a picture is enlarged that is too small to be read, so that the gate itself is asked."""

POSES = {
    "rotated by 90 degrees": Pose(1),
    "rotated by 180 degrees": Pose(2),
    "rotated by 270 degrees": Pose(3),
    "inverted": Pose(0, True),
    "inverted and rotated by 180 degrees": Pose(2, True),
    "mirrored": Pose(0, False, True),
}
CROPS = {
    "upper half": (0.0, 0.5, 0.0, 1.0),
    "lower half": (0.5, 1.0, 0.0, 1.0),
    "left half": (0.0, 1.0, 0.0, 0.5),
    "right half": (0.0, 1.0, 0.5, 1.0),
    "middle half each way": (0.25, 0.75, 0.25, 0.75),
}
"""First and last row, first and last column, as shares."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with Wilson's 95 % interval."""

    count: int
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, count: int, n: int) -> Share:
        """Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927."""
        if n == 0:
            return cls(0, 0, 0.0, 1.0)
        share, z2 = count / n, NORMAL_975**2
        middle = (share + z2 / (2 * n)) / (1 + z2 / n)
        half = NORMAL_975 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return cls(count, n, max(middle - half, 0.0), min(middle + half, 1.0))

    @property
    def value(self) -> float:
        return self.count / max(self.n, 1)


@dataclass(frozen=True, slots=True)
class Folder:
    """What the gate said of the pictures of a folder."""

    name: str
    refused: Share
    """By the gate, or because the file cannot be read as a film at all."""
    unread: int
    """Of these, the ones that never reached the gate."""
    warned: Share
    corrected: Share
    reasons: dict[str, int]
    """How often each reason came, without its figures."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What the gate said of films that were laid otherwise."""

    name: str
    change: str
    noticed: Share
    """Told by its name; a crop: warned of as one."""
    corrected: Share
    """Set right as it should be."""
    wrong: int
    """Set right in another way."""


class Asked:
    """A bundle's gate with the member that it watches."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self.gate = Gate.of(bundle)
        self._template = read_template(bundle)
        files = {member.name: member.file for member in bundle.manifest.members}
        name = self.gate.member
        self._backbone = None
        if name is not None:
            self._backbone = choose("cpu").backbone(bundle.model(files[name]), name, threads)

    def first(self, film: Radiograph) -> GateVerdict:
        """Signals and pose alone."""
        try:
            return self.gate.look(film, prepare(film)).verdict
        except NotAChestFilmError as err:
            return err.verdict

    def whole(self, film: Radiograph) -> GateVerdict:
        """With the distance of features."""
        try:
            looked = self.gate.look(film, prepare(film))
            seen = None
            if self._backbone is not None:
                part, _ = framed(self._template, looked.tensor)
                seen = pooled(self._backbone.features(part.signed))
            return self.gate.judge(film.source, looked.verdict, seen)
        except NotAChestFilmError as err:
            return err.verdict


def films(folder: Path, enlarge: bool = False) -> Iterator[Radiograph | None]:
    """The pictures of a folder; None for one that cannot be read.

    Args:
        folder: With images somewhere below it.
        enlarge: Read those too that are refused for their size alone, enlarged.
    """
    return (_film(source, enlarge) for source in expand([str(folder)]))


def _film(source: Source, enlarge: bool) -> Radiograph | None:
    try:
        data = source.read()
        return decode(_enlarged(data) if enlarge else data, source.name)
    except BadRadiographError:
        return None


def _enlarged(data: bytes) -> bytes:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or min(pixels.shape[:2]) >= MIN_SIDE:
        return data
    factor = ENLARGED / min(pixels.shape[:2])
    larger = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return bytes(cv2.imencode(".png", larger)[1])


def ask(name: str, folder: Path, asked: Asked, enlarge: bool = False) -> Folder:
    """Every picture of a folder through the whole gate."""
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    n = unread = corrected = 0
    for film in films(folder, enlarge):
        n += 1
        if film is None:
            unread += 1
            continue
        said = asked.whole(film)
        verdicts[said.verdict] += 1
        corrected += said.corrected is not None
        reasons.update(plain(reason) for reason in said.reasons)
    return Folder(
        name,
        Share.of(verdicts["refuse"] + unread, n),
        unread,
        Share.of(verdicts["warn"], n),
        Share.of(corrected, n),
        dict(reasons.most_common()),
    )


def plain(reason: str) -> str:
    """A reason without its figures: what stands before a bracket, a colon or a comma."""
    if "coarser" in reason:
        return "is small"
    if "longer" in reason:
        return "is long"
    for end in (" (", ":", ","):
        reason = reason.partition(end)[0]
    return reason


def change(name: str, folder: Path, asked: Asked, limit: int) -> list[Changed]:
    """Films of a folder laid otherwise, by signals and pose: up to `limit` of them, evenly from all."""
    kept = [film for film in films(folder) if film is not None]
    kept = kept[:: max(1, -(-len(kept) // limit))]
    rows = []
    for told, pose in POSES.items():
        said = [asked.first(replace(film, pixels=_laid(film, pose))) for film in kept]
        if pose.mirrored:
            noticed = sum("mirrored" in " ".join(v.reasons) for v in said)
        else:
            noticed = sum(pose.told() in " ".join(v.reasons) for v in said)
        right = sum(v.corrected == pose.undo() for v in said) if pose.undo() else 0
        wrong = sum(v.corrected is not None for v in said) - right
        n = len(kept)
        rows.append(Changed(name, told, Share.of(noticed, n), Share.of(right, n), wrong))
    for told, (top, bottom, left, right_) in CROPS.items():
        said = [asked.first(replace(f, pixels=_cut(f, (top, bottom, left, right_)))) for f in kept]
        noticed = sum("cropped" in " ".join(v.reasons) for v in said)
        wrong = sum(v.corrected is not None for v in said)
        n = len(kept)
        rows.append(Changed(name, told, Share.of(noticed, n), Share.of(0, n), wrong))
    return rows


def _laid(film: Radiograph, pose: Pose) -> NDArray[Any]:
    top = 2**film.bits_stored - 1
    pixels = film.pixels[:, ::-1] if pose.mirrored else film.pixels
    pixels = np.rot90(pixels, pose.turns)
    return np.ascontiguousarray(top - pixels if pose.inverted else pixels)


def _cut(film: Radiograph, box: tuple[float, float, float, float]) -> NDArray[Any]:
    rows, cols = film.pixels.shape
    top, bottom, left, right = box
    rows_, cols_ = (
        slice(int(top * rows), int(bottom * rows)),
        slice(int(left * cols), int(right * cols)),
    )
    return np.ascontiguousarray(film.pixels[rows_, cols_])
