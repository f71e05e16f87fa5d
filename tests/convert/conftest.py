"""A trained run's shape with random weights: what conversion needs, made in half a minute."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before anything imports Keras: its backend's notices would stand between the lines of pytest.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from convert.conversion import Conversion, ConversionOptions, convert
from convert.export import FloatBackbone, export
from pneumo_edge.manifest import MEMBER_NAMES
from train.dataset import KERMANY, training_films
from train.folds import patient_folds
from train.members import build_member
from train.recipe import load_recipe
from train.run import Epoch, Fusion, History, Run, Split

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
    rng = np.random.default_rng(7)
    films = [
        cv2.resize(film(rng, k % 2), (150, 150), interpolation=cv2.INTER_AREA) for k in range(8)
    ]
    return np.stack(films)[..., None].astype(np.uint8)


@pytest.fixture(scope="session")
def members(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """The four members, by name. Not to be changed."""
    return {name: settled_member(name, pixels) for name in MEMBER_NAMES}


@pytest.fixture(scope="session", params=["vgg16", "xception"])
def backbone(request: pytest.FixtureRequest, members: dict[str, Any]) -> FloatBackbone:
    """One without and one with shortcuts and depthwise convolutions; the conversion makes all four."""
    return export(members[request.param])


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path, members: dict[str, Any]) -> Run:
    """A run that looks as if it had been trained and fused. Not to be changed."""
    made = Run(tmp_path_factory.mktemp("runs") / "random")
    recipe, films = load_recipe("paper"), training_films(data)
    made.write("recipe.json", recipe)
    split = Split(
        data="films",
        films=len(films),
        patients=len({f.patient for f in films}),
        patient_pattern=KERMANY,
        seed=recipe.seed,
        folds=[[films[i].id for i in part] for part in patient_folds(films, 3, recipe.seed)],
    )
    made.write("split.json", split)
    epoch = Epoch(
        epoch=1, learning_rate=1e-5, loss=0.7, accuracy=0.5, val_loss=0.7, val_accuracy=0.5,
        val_auc=0.5, seconds=1.0,
    )  # fmt: skip
    for name, member in members.items():
        history = History(member=name, recipe=recipe.digest, init="none", fold="0", epochs=[epoch])
        made.write(f"{name}/fold-0/history.json", history)
        member.save(made.member(name, "0") / "model.keras")
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
