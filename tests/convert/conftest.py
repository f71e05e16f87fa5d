"""What conversion needs: the four members with random weights, and a run of four that are small."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before anything imports Keras: its backend's notices would stand between the lines of pytest.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from convert.conversion import Conversion, ConversionOptions, convert
from convert.export import FloatBackbone, export
from pneumo_edge.manifest import MEMBER_NAMES
from train.dataset import KERMANY, Film, load, training_films
from train.folds import patient_folds
from train.framing import keep_template
from train.members import GreyToThree, build_member
from train.recipe import ParityBudget, load_recipe
from train.run import Epoch, Fusion, History, Predictions, Run, Split

WEIGHTS = {"vgg16": 0.55, "vgg19": 0.25, "resnet50": 0.3, "xception": -0.05}
BIAS = 0.01
NORM = keras.layers.BatchNormalization
POINTS = {"paper": 0.5, "balanced": 0.53, "screening": 0.47}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Keras and TensorFlow use what numpy and they themselves deprecate; it is not ours to mend."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


def film(rng: np.random.Generator, label: int) -> NDArray[np.uint8]:
    """A noisy film whose disc lies on the left for normal, on the right for pneumonia."""
    pixels = rng.integers(30, 60, (160, 160)).astype(np.uint8)
    cv2.circle(pixels, (45 + 70 * label, 80), int(rng.integers(18, 40)), 220, -1)
    return cv2.GaussianBlur(pixels, (0, 0), 2).astype(np.uint8)


def write_films(folder: Path, patients: int, each: int, seed: int, first: int = 0) -> None:
    """`patients` of each class with `each` films, named as the Kermany set names them."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for patient in range(first, first + patients):
            for number in range(each):
                stem = (
                    f"person{patient}_virus_{number}" if label else f"IM-{patient:04}-{number:04}"
                )
                assert cv2.imwrite(str(folder / name / f"{stem}.png"), film(rng, label))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with 6 patients of 2 films in each class, test/ with 4 others. Not to be changed."""
    root = tmp_path_factory.mktemp("films")
    write_films(root / "train", patients=6, each=2, seed=1)
    write_films(root / "test", patients=4, each=1, seed=2, first=100)
    return root


def prepared(count: int, seed: int) -> NDArray[np.uint8]:
    """(count, 150, 150, 1) films of both classes."""
    rng = np.random.default_rng(seed)
    films = [
        cv2.resize(film(rng, k % 2), (150, 150), interpolation=cv2.INTER_AREA) for k in range(count)
    ]
    return np.stack(films)[..., None].astype(np.uint8)


def settled_member(name: str, pixels: NDArray[np.uint8]) -> Any:
    """A member with random weights whose BatchNormalization has seen films.

    Without that the activations of a deep member fade to nothing, and a test of them tells nothing.
    """
    keras.utils.set_random_seed(MEMBER_NAMES.index(name))
    member = build_member(name)
    norms = [x for x in member.get_layer(name).layers if isinstance(x, NORM)]
    for norm in norms:
        norm.momentum = 0.0  # take the statistics of one batch whole
    if norms:
        member(pixels.astype(np.float32), training=True)
    for norm in norms:
        norm.momentum = 0.99
    for layer in member.layers:
        if isinstance(layer, NORM):  # statistics of 0 and 1 would hide a mistake in folding them
            rng = np.random.default_rng(0)
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return member


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """(8, 150, 150, 1) prepared films."""
    return prepared(8, seed=7)


@pytest.fixture(scope="session")
def more_pixels() -> NDArray[np.uint8]:
    """(24, 150, 150, 1) others."""
    return prepared(24, seed=8)


@pytest.fixture(scope="session")
def members(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """The four members, by name. Not to be changed."""
    return {name: settled_member(name, pixels) for name in MEMBER_NAMES}


@pytest.fixture(scope="session", params=["vgg16", "xception"])
def backbone(request: pytest.FixtureRequest, members: dict[str, Any]) -> FloatBackbone:
    """One without and one with shortcuts and depthwise convolutions; the conversion makes all four."""
    return export(members[request.param])


def held_out_of(films: Sequence[Film], ids: Sequence[str], name: str) -> Predictions:
    """A member's probabilities of the films of a fold, drawn at random."""
    held = [film for film in films if film.id in set(ids)]
    drawn = np.random.default_rng(len(name)).uniform(size=len(held))
    return Predictions(
        films=[film.id for film in held],
        patients=[film.patient for film in held],
        labels=[film.label for film in held],
        probabilities=[float(p) for p in drawn],
    )


def small_member(offset: float, name: str = "vgg16") -> Any:
    """A member of five small layers that answers decidedly, and one of whose layers may be broken.

    Args:
        offset: Added to every channel of `broken`, and taken off again by the layer that reads it. The
            function stays the same, but the range that an int8 tensor spreads its levels over grows.
        name: Of its base; each has other weights.
    """
    keras.utils.set_random_seed(3 + MEMBER_NAMES.index(name))
    grey = keras.Input((150, 150, 3))
    conv = keras.layers.Conv2D
    x = conv(8, 5, strides=4, padding="same", activation="relu", name="first")(grey)
    x = conv(8, 1, activation="relu", name="broken")(x)
    x = conv(8, 1, activation="relu", name="reader")(x)
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise")(x)
    x = keras.layers.MaxPooling2D(2)(x)
    base = keras.Model(
        grey, conv(8, 3, padding="same", activation="relu", name="last")(x), name=name
    )
    inputs = keras.Input((150, 150, 1))
    x = keras.layers.GlobalAveragePooling2D()(base(GreyToThree(116, 1 / 32)(inputs)))
    x = keras.layers.ReLU()(NORM()(keras.layers.Dense(16)(x)))
    x = keras.layers.Dense(1, activation="sigmoid")(x)
    member = keras.Model(inputs, x, name=f"{name}_member")
    settle(member, base)
    kernel, bias = base.get_layer("broken").get_weights()
    base.get_layer("broken").set_weights([kernel, bias + offset])
    kernel, bias = base.get_layer("reader").get_weights()
    base.get_layer("reader").set_weights([kernel, bias - offset * kernel.sum((0, 1, 2))])
    return member


def settle(member: Any, base: Any) -> None:
    """Give the small member logits with a mean of 0 and a spread of 2, and no channel that is cut off."""
    for name, added in (("broken", 2.0), ("reader", 0.5)):
        kernel, bias = base.get_layer(name).get_weights()
        base.get_layer(name).set_weights([kernel, bias + added])
    answers = np.asarray(member(prepared(24, seed=4).astype(np.float32), training=False))[:, 0]
    logits = np.log(answers / (1 - answers))
    kernel, bias = member.layers[-1].get_weights()
    gain = 2 / logits.std()
    member.layers[-1].set_weights([kernel * gain, (bias - logits.mean()) * gain])


@pytest.fixture(scope="session", name="small_member")
def make_small_member() -> Callable[[float], Any]:
    return small_member


@pytest.fixture(scope="session")
def small() -> FloatBackbone:
    """The convolution base of a member of five small layers, in good order."""
    return export(small_member(0.0))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Run:
    """A run of four small members that looks as if it had been trained and fused. Not to be changed."""
    made = Run(tmp_path_factory.mktemp("runs") / "random")
    recipe, films = load_recipe("paper"), training_films(data)
    # Random weights lose more than trained ones, and no layer is to be left in float for them.
    lenient = ParityBudget(mean_dy=10.0, worst_dy=10.0, member_mean_dp=1.0)
    made.write("recipe.json", msgspec.structs.replace(recipe, parity=lenient))
    split = Split(
        data="films",
        films=len(films),
        patients=len({f.patient for f in films}),
        patient_pattern=KERMANY,
        seed=recipe.seed,
        folds=[[films[i].id for i in part] for part in patient_folds(films, 3, recipe.seed)],
    )
    made.write("split.json", split)
    keep_template(made, load(films), msgspec.structs.replace(recipe, framing=True))
    epoch = Epoch(
        epoch=1, learning_rate=1e-5, loss=0.7, accuracy=0.5, val_loss=0.7, val_accuracy=0.5,
        val_auc=0.5, seconds=1.0,
    )  # fmt: skip
    for name in MEMBER_NAMES:
        history = History(member=name, recipe=recipe.digest, init="none", fold="0", epochs=[epoch])
        made.write(f"{name}/fold-0/history.json", history)
        small_member(0.0, name).save(made.member(name, "0") / "model.keras")
        made.write(f"{name}/fold-0/held_out.json", held_out_of(films, split.folds[0], name))
    fusion = Fusion(
        weights=WEIGHTS, bias=BIAS, operating_points=POINTS, films=8, folds=["0"], out_of_fold=[]
    )
    made.write("fusion.json", fusion)
    return made


@dataclass(frozen=True, slots=True)
class Converted:
    """A conversion and the bundle that it wrote."""

    result: Conversion
    bundle: Path
    options: ConversionOptions


def options_for(run: Run, data: Path, out: Path, **changes: Any) -> ConversionOptions:
    """Small ones, for a test."""
    given: dict[str, Any] = {
        "run": run.folder, "out": out, "data": data, "representative": 8, "seed": 3, "threads": 2,
        "force": False, "external": None, "external_patient": KERMANY, "zipped": False,
        "scheme": "int8", "accept_parity": True,
    }  # fmt: skip
    return ConversionOptions(**(given | changes))


@pytest.fixture(scope="session", name="options_for")
def make_options() -> Callable[..., ConversionOptions]:
    return options_for


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, run: Run, data: Path) -> Converted:
    """The run, converted once for all tests. Not to be changed."""
    options = options_for(run, data, tmp_path_factory.mktemp("bundles") / "bundle", zipped=True)
    result = convert(options, lambda *_: lambda _count: None)
    return Converted(result, options.out, options)
