"""A recipe: every choice of a training run, in one JSON file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from pneumo_edge.errors import RecipeError
from pneumo_edge.manifest import MEMBER_NAMES, Struct

BASELINE = "cnn"
"""The paper's plain CNN (Fig. 6), trained beside the members and not fused."""

Positive = Annotated[float, msgspec.Meta(gt=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Validation = Literal["patient", "number", "look"]


class Plateau(Struct, frozen=True, tag="plateau", tag_field="kind"):
    """Lower the rate when the monitored loss stops falling (Keras' ReduceLROnPlateau)."""

    factor: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    floor: Annotated[float, msgspec.Meta(ge=0)]
    """The rate never falls below it."""
    patience: Count
    """Epochs without a new best loss before the rate falls. Not given in the paper."""


class Constant(Struct, frozen=True, tag="constant", tag_field="kind"):
    """Ramp up, then hold the rate: a run can be lengthened later, and averaging does the annealing."""

    warmup_steps: Annotated[int, msgspec.Meta(ge=0)]


class Cosine(Struct, frozen=True, tag="cosine", tag_field="kind"):
    """Ramp up, then fall along half a cosine to nothing at the last epoch's end, which is part of the recipe."""

    warmup_steps: Annotated[int, msgspec.Meta(ge=0)]


class MemberRecipe(Struct, frozen=True):
    """How one member is trained."""

    learning_rate: Positive
    epochs: Count
    frozen_layers: Annotated[int, msgspec.Meta(ge=0)]
    """The first layers of the convolution base, counted as Keras lists them, its input layer included."""
    schedule: Plateau | Constant | Cosine
    strides: Literal["v1", "v1.5"] = "v1"
    """ResNet50 only: a stage halves its map in its first 1x1 convolution (Keras) or in its 3x3 one."""
    missing: Literal["random", "scaled", "dirac"] = "random"
    """VGG only: what fills the convolutions that the weights file lacks; see `train.dirac`."""
    probe: Annotated[int, msgspec.Meta(ge=2)] | None = None
    """VGG only: views on which a linear probe is fitted, as which the head starts; see `train.probe`."""


class Augmentation(Struct, frozen=True):
    """Random changes of a training film; a range r draws from [-r, r]."""

    rotation_degrees: Annotated[float, msgspec.Meta(ge=0, le=180)]
    shift: Fraction
    """Of the side, on each axis."""
    shear: Fraction
    """Tangent of the angle."""
    zoom: Fraction
    """0.1 scales by 0.9 to 1.1, on each axis on its own, as Keras' generator does."""
    horizontal_flip: bool
    brightness: Fraction = 0.0
    """Of the full grey range, added."""
    contrast: Fraction = 0.0
    """0.2 scales the distance from the film's mean by 0.8 to 1.2."""
    gamma: Fraction = 0.0
    """0.2 raises grey levels to a power of 0.8 to 1.25."""
    sharpness: Fraction = 0.0
    """1 reaches from a full Gaussian blur (sigma 0.6 to 1.5 pixels) to an unsharp mask of that size."""
    erase: Fraction = 0.0
    """Probability that one rectangle of 2 to 15 % of the film is filled with its mean."""


class Pretraining(Struct, frozen=True):
    """How a member learns from unlabelled films before it is fitted; see `train.pretrain`."""

    batch_size: Count
    images_per_epoch: Annotated[int, msgspec.Meta(ge=2)]
    """Drawn evenly from the folders of films."""
    monitor_images: Annotated[int, msgspec.Meta(ge=2)]
    """Films that are held out, to measure how much of the teacher is explained."""
    weight_decay: Annotated[float, msgspec.Meta(ge=0)]
    members: dict[str, MemberRecipe]
    """By name; its frozen layers are those that initial weights fill, and stay as they are."""

    def __post_init__(self) -> None:
        for name, member in self.members.items():
            if name not in MEMBER_NAMES or isinstance(member.schedule, Plateau):
                raise ValueError(
                    f"pretraining of {name} by a {type(member.schedule).__name__.lower()} schedule: "
                    f"members are {MEMBER_NAMES}, schedules constant or cosine"
                )


class TeacherRecipe(Struct, frozen=True):
    """A linear probe on frozen ImageNet features that members learn from; see `train.teacher`."""

    layer: str
    """Of ResNet50, as Keras calls it; the means of its channels are the features."""
    views: Count
    """Augmented views of each film, beside the film as it is."""
    penalty: Positive
    """C of the logistic regression: smaller is stronger."""
    share: Fraction
    """Of the training target: 0.5 is half the label, half the teacher's probability of that view."""


class MemberBudget(Struct, frozen=True):
    """What a member is held to on representative films when it is converted."""

    mean_dp: float
    """Mean |dp|."""
    undecided_dp: float
    """Largest |dp| of a film that the member is undecided on, as far as its logit's error tells; inf for none."""


class ParityBudget(Struct, frozen=True):
    """How far a conversion may stray from the float members before it fails; see docs/quantization.md."""

    auc: Fraction = 0.001
    """Of the fusion, in either direction."""
    labels: Fraction = 0.997
    """Part of the films that must keep their label, at each operating point."""
    mean_dy: Annotated[float, msgspec.Meta(ge=0)] = 0.004
    """Mean |dy| of the fusion."""
    worst_dy: Annotated[float, msgspec.Meta(ge=0)] = 0.04
    """The largest |dy| of any film."""
    member_mean_dp: Fraction = 0.01
    """Mean |dp| on representative films at which a member's layers begin to be left in float."""

    def of_members(self, weights: Mapping[str, float]) -> dict[str, MemberBudget]:
        """What each member is held to, where these are their weights in the fusion.

        Members that are each off by this much, and whose errors have nothing to do with each other, move y by
        `mean_dy` and `worst_dy` together. `member_mean_dp` is the most, since a member's own answer is shown
        too; it alone holds for a member that has no part in y.
        """
        norm = math.hypot(*weights.values())
        return {
            name: MemberBudget(
                min(self.member_mean_dp, self.mean_dy / norm) if weight else self.member_mean_dp,
                self.worst_dy / norm if weight else math.inf,
            )
            for name, weight in weights.items()
        }


class Recipe(Struct, frozen=True):
    """A whole run."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+$")]
    seed: int
    batch_size: Count
    dropout: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    """In the head. Not given in the paper."""
    label_smoothing: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    weight_decay: Annotated[float, msgspec.Meta(ge=0)]
    """Decoupled (AdamW); 0 is Adam."""
    ema_momentum: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None
    """Average of the weights over steps, which is what is kept; null keeps the last weights."""
    class_weights: Literal["paper", "none"]
    """paper: normal = pneumonia / total, pneumonia = normal / total, in the training loss only."""
    sampling: Literal["all", "balanced"]
    """all: every film once an epoch. balanced: as many normals as pneumonias, patients drawn evenly."""
    images_per_epoch: Annotated[int, msgspec.Meta(ge=2)] | None
    """Null is every film, or twice the smaller class with balanced sampling."""
    monitor_images: Annotated[int, msgspec.Meta(ge=2)] | None
    """Held-out films that an epoch's validation looks at, a fixed draw; null is all of them."""
    folds: Annotated[int, msgspec.Meta(ge=2)]
    augmentation: Augmentation
    members: dict[str, MemberRecipe]
    """By name; `cnn` is the baseline."""
    pretraining: Pretraining | None = None
    """What `train pretrain` does; null where the recipe has none."""
    validation: Validation = "patient"
    """How folds are drawn; see `train.folds`."""
    fusion: Literal["ols", "shrunken"] = "ols"
    """The paper's ordinary least squares, or weights that are drawn towards equal ones; see `train.fuse`."""
    fuse_stressed: bool = False
    """Fuse, and choose operating points, on each held-out film twice: as it is, and under `train.stress`."""
    framing: bool = False
    """Members see the thorax alone, as `pneumo_edge.framing` finds it; without it, whole films."""
    teacher: TeacherRecipe | None = None
    """Whose opinion of each view members learn beside the label; null where the label is all."""
    parity: ParityBudget = ParityBudget()
    """What a conversion of the run is held to."""
    error_outside_band: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.02
    """Share of wrong labels, in either class, that a conversion's indeterminate bands leave; see `train.bands`."""
    remark: str = ""
    """What who reads the figures must know of how the recipe came about; told in the model card."""

    def __post_init__(self) -> None:
        unknown = set(self.members) - {*MEMBER_NAMES, BASELINE}
        if unknown or not self.members:
            raise ValueError(f"members {sorted(unknown)}: known are {(*MEMBER_NAMES, BASELINE)}")

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe's canonical JSON.

        A field of `_LATER` counts only where it is set: runs that were started before it keep their digest.
        What a conversion is held to, and a remark, change nothing of what is trained, and have no part in it.
        """
        values = msgspec.to_builtins(self, order="deterministic")
        del values["parity"], values["error_outside_band"], values["remark"]
        for field in _LATER:
            if getattr(self, field) == _DEFAULTS[field]:
                del values[field]
        return hashlib.sha256(msgspec.json.encode(values)).hexdigest()


_LATER = ("pretraining", "teacher", "validation", "fusion", "fuse_stressed", "framing")
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Recipe)}


def names() -> tuple[str, ...]:
    """The recipes that come with the package."""
    folder = resources.files("train") / "recipes"
    return tuple(sorted(f.name.removesuffix(".json") for f in folder.iterdir()))


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe by the name of a shipped one, or from a file.

    Raises:
        RecipeError: there is none, or a value in it is wrong; the message says where.
    """
    path = Path(name_or_path)
    if name_or_path in names():
        data = (resources.files("train") / "recipes" / f"{name_or_path}.json").read_bytes()
    elif path.is_file():
        data = path.read_bytes()
    else:
        raise RecipeError(
            f"no recipe {name_or_path!r}", f"name one of {', '.join(names())}, or a JSON file"
        )
    try:
        return msgspec.json.decode(data, type=Recipe)
    except msgspec.DecodeError as err:
        raise RecipeError(f"recipe {name_or_path}: {err}", "correct that value") from None
