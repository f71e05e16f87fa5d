from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before anything imports Keras: its backend's notices would stand between the lines of pytest.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from train.dataset import Dataset, default_data_dir, load, training_films
from train.recipe import MemberRecipe, Recipe, load_recipe

MakeFilms = Callable[..., Path]


def blob(rng: np.random.Generator, label: int) -> NDArray[np.uint8]:
    """A noisy film whose disc lies on the left for normal, on the right for pneumonia."""
    film = rng.integers(30, 60, (160, 160)).astype(np.uint8)
    cv2.circle(film, (45 + 70 * label, 80), int(rng.integers(18, 40)), 220, -1)
    return film


def write_films(folder: Path, patients: int, each: int, seed: int, first: int = 0) -> Path:
    """`patients` of each class with `each` films, named as the Kermany set names them."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for patient in range(first, first + patients):
            for film in range(each):
                stem = f"person{patient}_bacteria_{film}" if label else f"IM-{patient:04}-{film:04}"
                path = folder / name / f"{stem}.png"
                assert cv2.imwrite(str(path), blob(rng, label))
    return folder


@pytest.fixture(scope="session")
def make_films() -> MakeFilms:
    return write_films


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/ with 8 patients of 2 films in each class, test/ with 5 others. Not to be changed."""
    root = tmp_path_factory.mktemp("films")
    write_films(root / "train", patients=8, each=2, seed=1)
    write_films(root / "test", patients=5, each=1, seed=2, first=100)
    return root


@pytest.fixture(scope="session")
def dataset(data: Path) -> Dataset:
    return load(training_films(data))


@pytest.fixture(scope="session")
def tiny() -> Recipe:
    """The baseline alone, two epochs of four steps, with everything that `best` uses."""
    best = load_recipe("best")
    quick: MemberRecipe = msgspec.structs.replace(best.members["cnn"], epochs=2)
    return msgspec.structs.replace(
        best,
        name="tiny",
        batch_size=4,
        images_per_epoch=16,
        monitor_images=8,
        folds=2,
        members={"cnn": quick},
    )


@pytest.fixture(scope="session")
def shared_init() -> Path:
    """ImageNet weights in files; the test is skipped where they are not."""
    folder = default_data_dir().parent / "init"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder} with ImageNet weights")
    return folder


@pytest.fixture(scope="session")
def big() -> Callable[[str], Any]:
    """The four members, each built once and with random weights. Weights may be changed."""
    built: dict[str, Any] = {}

    def member(name: str) -> Any:
        from train.members import build_member

        if name not in built:
            built[name] = build_member(name)
        return built[name]

    return member
