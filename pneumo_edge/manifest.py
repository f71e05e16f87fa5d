"""The bundle's manifest: what `manifest.json` holds, field by field."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec

CARD = "MODEL_CARD.md"
"""The one file of a bundle that decides no answer."""

SIDE = 150
"""Rows and columns of the members' input, in pixels (paper, Fig. 1)."""

SCHEMA_VERSION = 1
"""Raised whenever a reader of the version before could misread a manifest."""

Unit = Annotated[float, msgspec.Meta(ge=0, le=1)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
MEMBER_NAMES = ("vgg16", "vgg19", "resnet50", "xception")
"""x1 to x4 of the fusion, in the paper's order."""


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen record that refuses a field it does not know."""


class InputContract(Struct, frozen=True):
    """The tensor that every backbone takes."""

    rows: int
    cols: int
    channels: int
    dtype: str
    """uint8 at the runtime's door; a backbone's own int8 input is that value minus 128."""


class Grid(Struct, frozen=True):
    """Where the positions of a feature map lie on the members' input, alike in both directions."""

    first: float
    """The middle of what the first position sees, in pixels from the input's edge."""
    step: Annotated[float, msgspec.Meta(gt=0)]
    """From one position to the next, in pixels."""


class Member(Struct, frozen=True, omit_defaults=True):
    """One backbone and its place in the fusion."""

    name: str
    file: str
    weight: float
    """a_i of y = a1 x1 + a2 x2 + a3 x3 + a4 x4 + b."""
    scheme: str
    """How it was quantized, for instance static-int8."""
    # Left out where it is absent, so that an older bundle keeps its id.
    grid: Grid | None = None
    """For heat maps; None in a bundle that was packed before there were any."""


class Measure(Struct, frozen=True):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class Figures(Struct, frozen=True):
    """How one model did on one split at one threshold."""

    subject: str
    """fused, or a member's name."""
    precision: str
    """float32 or int8."""
    split: str
    operating_point: str
    threshold: float
    n: int
    auc: Measure
    accuracy: Measure
    sensitivity: Measure
    specificity: Measure
    f1: Measure


class ParityRow(Struct, frozen=True):
    """How far int8 strayed from float32 on the same tensors."""

    subject: str
    n: int
    mean_abs_dp: float
    worst_abs_dp: float
    auc_float: float
    auc_int8: float
    flips: dict[str, int]
    """Labels that changed, by operating point."""


class Band(Struct, frozen=True):
    """Where y is too near a threshold to go by, both ends included; the threshold lies in it."""

    low: float
    high: float


class Indeterminate(Struct, frozen=True):
    """The bands around the operating points, and what they were chosen for."""

    error_rate: Unit
    """Of the films of either class that lie outside a band, no more than this share should get a wrong label."""
    films: dict[str, int]
    """How many films they were chosen on, by set; the set on which a band has to be wider decides."""
    bands: dict[str, Band]
    """By operating point; one for which the films were too few is not there."""


class BandFigures(Struct, frozen=True):
    """How many films of one split fall into one band, and how often the label is wrong outside it."""

    precision: str
    """float32 or int8."""
    split: str
    operating_point: str
    n: int
    inside: Measure
    """Share of the films that lie in the band."""
    error: Measure
    """Of the films outside it, the share with a wrong label."""
    error_normal: Measure
    """The same of the normal films outside: called pneumonia."""
    error_pneumonia: Measure
    """The same of the pneumonia films outside: called normal."""


class GateRow(Struct, frozen=True):
    """What the gate said of upright films that it was not fitted on."""

    name: str
    n: int
    refused: int
    """By their features or grey levels."""
    distant: int
    """Warned of by their features."""
    turned: int
    """Taken for turned or inverted."""
    corrected: int
    """Of these, set right: wrongly, unless the film did lie so."""


class GateFigures(Struct, frozen=True):
    """What the gate was fitted on, and how it did."""

    member: str
    """Whose features are watched."""
    films: dict[str, int]
    """Fitted on, by source."""
    rows: list[GateRow]
    noticed: dict[str, dict[str, Unit]]
    """Share of a set's films that is noticed, by set, by what was done to them."""


class Manifest(Struct, frozen=True, omit_defaults=True):
    """Everything that a reader of the bundle must know before it trusts a file in it."""

    schema: int
    id: str
    """See `answer_id`: two bundles that share it give the same answers."""
    created: str
    """ISO 8601 date, UTC."""
    files: dict[str, Sha256]
    """Every other file of the bundle."""
    input: InputContract
    members: list[Member]
    bias: float
    """b of the fusion."""
    head: str
    """The file with the signatures classify_<member> and fuse."""
    operating_points: dict[str, float]
    """Thresholds on y; paper is always 0.5."""
    evaluation_order: list[str]
    """The members' names, in the order in which the runtime runs them."""
    figures: list[Figures]
    parity: list[ParityRow]
    provenance: dict[str, Any]
    """Data, weights, recipe and code that the bundle came from; for people, not the runtime."""
    # What a bundle may lack, as older ones do, is left out where it is absent, so that their ids stay.
    indeterminate: Indeterminate | None = None
    """Bands around the operating points; None in a bundle that was packed without."""
    band_figures: list[BandFigures] = []
    """What the bands hold and leave, on films that they were not chosen on and on those that they were."""
    gate: GateFigures | None = None
    """How `gate.npz` did; None in a bundle without it."""
    template: str | None = None
    """The file by which the thorax is framed on each film; None where members see whole films."""


def answer_id(manifest: Manifest) -> str:
    """The id that a manifest should have: a digest of all that decides an answer.

    Args:
        manifest: Its own id, date, figures, parity, provenance and model card have no part in it.

    Returns:
        12 hex digits of a SHA-256.
    """
    files = {name: digest for name, digest in manifest.files.items() if name != CARD}
    decisive = msgspec.structs.replace(
        manifest,
        id="",
        created="",
        files=files,
        figures=[],
        parity=[],
        provenance={},
        band_figures=[],
        gate=None,
    )
    return hashlib.sha256(msgspec.json.encode(decisive, order="deterministic")).hexdigest()[:12]
