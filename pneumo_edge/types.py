"""What flows from stage to stage: frozen, named, with the unit under the field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from pneumo_edge import manifest
from pneumo_edge.errors import BadRadiographError

if TYPE_CHECKING:
    from pneumo_edge.heatmap import Explanation

Label = Literal["normal", "pneumonia"]
Verdict = Literal["accept", "warn", "refuse"]
PhotoMode = Literal["auto", "always", "never"]
"""Whether a film is taken out of a photo of it: where that is certain, in any case, or not at all."""
DicomKind = Literal["report", "picture", "both"]
"""What goes back into a film's study."""

SIDE = manifest.SIDE
"""Rows and columns of the members' input, in pixels (paper, Fig. 1)."""


@dataclass(frozen=True, slots=True, eq=False)  # `==` on arrays is not a yes or a no
class Radiograph:
    """A decoded chest film, at its own size."""

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    """(rows, cols), grey; larger is brighter (MONOCHROME2). uint8 for 8 bits stored, else uint16."""

    bits_stored: int
    """Significant bits per pixel, 8 to 16."""

    source: str
    """The file, URL or device that the film came from, as the user named it."""

    colour: float = 0.0
    """0 to 1 of the whole range: how far red and blue lie from what brightness alone would make them, root mean
    square. A film that was scanned in colour, tint and all, has next to none."""

    photo: str | None = None
    """In words, what was done to a photo of a film, or why nothing was; None where it is none."""

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.size == 0:
            raise BadRadiographError(
                f"expected a (rows, cols) film, got shape {self.pixels.shape}",
                remedy="export a single grey frame",
            )
        expected = np.uint8 if self.bits_stored == 8 else np.uint16
        if not 8 <= self.bits_stored <= 16 or self.pixels.dtype != expected:
            raise BadRadiographError(
                f"{self.bits_stored} bits in {self.pixels.dtype} pixels",
                remedy="pass 8 bits as uint8, or 9 to 16 bits as uint16",
            )


@dataclass(frozen=True, slots=True, eq=False)
class InputTensor:
    """What every member is given; the same bytes in training, calibration and inference."""

    pixels: NDArray[np.uint8]
    """(1, 150, 150, 1), 0 black to 255 white; the normalisation lies inside each member's graph."""

    def __post_init__(self) -> None:
        if self.pixels.shape != (1, SIDE, SIDE, 1) or self.pixels.dtype != np.uint8:
            raise ValueError(f"not an input tensor: {self.pixels.dtype} {self.pixels.shape}")

    @property
    def signed(self) -> NDArray[np.int8]:
        """(1, 150, 150, 1): the pixels less 128, which is what a backbone takes."""
        return (self.pixels ^ 0x80).view(np.int8)


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of a prepared film that members see; see `pneumo_edge.framing`."""

    across: float = 1.0
    """Its width, as a share of the film's."""

    down: float = 1.0
    """Its height, likewise."""

    right: float = 0.0
    """How far its middle lies right of the film's, in pixels of the prepared film, of which there are 150."""

    below: float = 0.0
    """How far its middle lies below the film's, likewise."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom as shares of the film: below 0 or above 1 where it reaches over the edge."""
        x, y = 0.5 + self.right / SIDE, 0.5 + self.below / SIDE
        return x - self.across / 2, y - self.down / 2, x + self.across / 2, y + self.down / 2


@dataclass(frozen=True, slots=True)
class MemberScore:
    """One member's vote."""

    name: str
    """The backbone: vgg16, vgg19, resnet50 or xception."""

    probability: float
    """Of pneumonia, 0 to 1: x_i of the paper's fusion."""

    logit: float
    """ln(p / (1 - p)) before the sigmoid, not clipped."""

    ms: float
    """Wall time of backbone and classifier, milliseconds."""

    map: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """(rows, cols) of the feature map: what each position adds to the logit, HiResCAM. None unless asked for."""
    pooled: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """(channels,) of the member that the gate watches; see `gate.distance.pooled`. None of the others."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Wall times of one radiograph, milliseconds."""

    decode: float
    prepare: float
    infer: float
    total: float


@dataclass(frozen=True, slots=True)
class Interval:
    """Where y lies, both ends included."""

    low: float
    high: float

    def label(self, threshold: float) -> Label | None:
        """What y > threshold says of every y of the interval; None where they disagree."""
        if self.low > threshold:
            return "pneumonia"
        return "normal" if self.high <= threshold else None

    def inside(self, band: Interval) -> bool | None:
        """Whether every y of it lies in the band; None where some do and others do not."""
        if self.high < band.low or self.low > band.high:
            return False
        return True if self.low >= band.low and self.high <= band.high else None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether a picture is a frontal chest radiograph such as the ensemble was trained on."""

    verdict: Verdict

    reasons: tuple[str, ...] = ()
    """Each completes "it ..."; none where the film is accepted."""

    corrected: str | None = None
    """What was done to the film before it was scored, for instance "rotated by 180 degrees"."""

    distance: float | None = None
    """Of its features from those of training films: refused above 1. None where they were not looked at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the ensemble says of one radiograph. A screening aid's output, not a diagnosis."""

    file: str
    """As the user named it; "-" for standard input."""

    label: Label
    """pneumonia where y > threshold, else normal."""

    y: float | None
    """a1 x1 + a2 x2 + a3 x3 + a4 x4 + b; near [0, 1], not bounded by it (paper, fusion). None after an early exit."""

    threshold: float
    """What y was compared with."""

    operating_point: str
    """The name under which the bundle carries the threshold: paper, balanced or screening."""

    members: tuple[MemberScore, ...]
    """Those that were run, in that order: all, unless the ensemble exited early."""

    ms: Timings
    engine: str
    """The engine that ran the members: cpu, gpu, tflite-runtime or openvino."""

    bundle: str
    """The bundle's id."""

    interval: Interval | None = None
    """After an early exit: where y would lie, all of it on the label's side of the threshold."""

    explanation: Explanation | None = field(default=None, compare=False, repr=False)
    """The film with its heat map. None unless asked for."""

    overlay: str | None = None
    """The picture of it that was written."""

    band: Interval | None = None
    """Where y is indeterminate at this operating point; None where the bundle does not say."""

    indeterminate: bool | None = None
    """Whether y lies in the band, both ends included: the label is there, and not to be gone by."""

    gate: GateVerdict | None = None
    """accept or warn; None where the gate was passed by."""

    photo: str | None = None
    """See `Radiograph.photo`."""

    frame: Frame | None = None
    """The part of the film that was looked at; None where the bundle's members see whole films."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one image of a batch got no finding."""

    file: str
    """As the user named it."""

    what: str
    """What was wrong, with the offending value."""

    remedy: str
    """What to do about it."""

    gate: GateVerdict | None = None
    """refuse, with the reasons, where the gate refused it; None where it could not be read."""
