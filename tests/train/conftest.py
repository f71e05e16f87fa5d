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

from train.assembly import summarise
from train.candidate import Candidate
from train.dataset import Dataset, Film, default_data_dir, load, training_films
from train.evaluate import Answers, EvaluationSplit
from train.held_out import HeldOut
from train.metrics import RESAMPLES
from train.published import PAPER
from train.recipe import MemberRecipe, Recipe, load_recipe
from train.summary import SCHEMA, SplitFacts, Summary

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
    """The baseline alone, two epochs of four steps, with all that `best` uses but its teacher."""
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
        teacher=None,
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


def scored_films(count: int, seed: int) -> tuple[list[Film], Any]:
    """Films without pixels, two to a patient, and four members' probabilities (n, 4) with some skill."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) // 2) % 3 > 0
    films = [
        Film(Path(f"{k}.png"), int(label), f"patient {k // 2}", f"{k}.png")
        for k, label in enumerate(labels)
    ]
    logits = rng.normal(size=(count, 4)) * 1.2 + 1.5 * labels[:, None] - 0.5
    return films, 1 / (1 + np.exp(-logits))


@pytest.fixture(scope="session")
def candidate() -> Candidate:
    """An ensemble with its held-out films, of a bundle: there is no run behind it."""
    films, probabilities = scored_films(160, seed=1)
    labels = np.array([film.label for film in films])
    held_out = HeldOut(probabilities, labels, np.array([film.patient for film in films]))
    return Candidate(
        title="0123456789ab",
        weights={"vgg16": 0.5, "vgg19": 0.2, "resnet50": 0.4, "xception": -0.1},
        bias=0.05,
        operating_points={"paper": 0.5, "balanced": 0.55, "screening": 0.3},
        held_out=held_out,
        run=None,
    )


@pytest.fixture(scope="session")
def answers(candidate: Candidate) -> list[Answers]:
    """Of that ensemble and a baseline: on the test split; and on one with views, one of them all normal."""
    told = []
    for name, count, seed in (("test", 120, 2), ("elsewhere", 60, 3)):
        films, probabilities = scored_films(count, seed)
        dataset = Dataset(tuple(films), np.zeros((count, 1, 1, 1), np.uint8))
        normal = dataset.labels == 0
        views = np.where(np.arange(count) % 4 < 2, "AP", np.where(normal, "LL", "PA"))
        views = np.where(np.arange(count) == np.flatnonzero(normal)[0], "PA", views)
        groups = {"view": views} if name != "test" else {}
        split = EvaluationSplit(name, dataset, groups)
        y = probabilities @ candidate.weight_row + candidate.bias
        told.append(Answers(split, "int8", probabilities, y, baseline=probabilities[::-1, 0]))
    return told


@pytest.fixture(scope="session")
def summary(candidate: Candidate, answers: list[Answers]) -> Summary:
    """The whole evaluation of that ensemble."""
    facts = [
        SplitFacts(
            name=a.split.name,
            films=len(a.y),
            patients=len(a.y) // 2,
            normal=int((a.split.dataset.labels == 0).sum()),
            pneumonia=int((a.split.dataset.labels == 1).sum()),
            skipped=0,
            remarks=[],
        )
        for a in answers
    ]
    return Summary(
        schema=SCHEMA,
        bootstrap_draws=RESAMPLES,
        splits=facts,
        ensembles=[summarise(candidate, answers)],
        figures=[],
        published=list(PAPER),
    )
