from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.random_head import DEPTHS, maps, randomised, spearman, ssim
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.manifest import MEMBER_NAMES

SHAPES = {"vgg16": (4, 4, 512), "vgg19": (4, 4, 512), "resnet50": (5, 5, 2048), "xception": (5, 5, 2048)}  # fmt: skip


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle()


@pytest.fixture(scope="module")
def head(bundle: Bundle) -> bytes:
    model = bundle.model(bundle.manifest.head)
    return model if isinstance(model, bytes) else model.read_bytes()


def film() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(8)
    return {
        n: np.maximum(rng.normal(size=(1, *s)), 0).astype(np.float32) for n, s in SHAPES.items()
    }


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_shuffled_head_answers_otherwise_and_its_maps_explain_its_own_answers(
    head: bytes, depth: Any
) -> None:
    features = film()
    learnt, shuffled = (
        choose("cpu").head(data, "head") for data in (head, randomised(head, depth, 3))
    )
    for name in MEMBER_NAMES:
        before, after = (h.classify(name, features[name])[0] for h in (learnt, shuffled))
        assert abs(before - after) > 1e-3
        # classify and explain hold the same weights: along the features, the map tells the slope.
        small = features[name] * np.float32(1.001)
        slope = (shuffled.classify(name, small)[0] - after) / 0.001
        total = float(shuffled.explain(name, features[name]).sum())
        assert slope == pytest.approx(total, abs=0.25 * max(abs(total), 1.0))


def test_the_same_seed_gives_the_same_head_and_another_another(head: bytes) -> None:
    one = randomised(head, "output", 1)
    assert one == randomised(head, "output", 1)
    assert one != randomised(head, "output", 2)
    assert len(one) == pytest.approx(len(head), rel=0.01)


def test_the_maps_differ(head: bytes, bundle: Bundle) -> None:
    engine = choose("cpu")
    learnt = maps(engine.head(head, "head"), [film()], bundle.manifest)[0]
    other = maps(engine.head(randomised(head, "head", 1), "head"), [film()], bundle.manifest)[0]
    assert spearman(learnt, other) < 0.9


def test_likeness_of_maps() -> None:
    rng = np.random.default_rng(5)
    one, other = rng.normal(size=(2, 30, 30))
    assert spearman(one, np.exp(one)) == pytest.approx(1)
    assert spearman(one, -one) == pytest.approx(-1)
    assert abs(spearman(one, other)) < 0.15
    assert spearman(one, np.zeros((30, 30))) == 0
    assert ssim(one, 3 * one) == pytest.approx(1)
    assert abs(ssim(one, other)) < 0.2
    assert ssim(one, -one) < -0.8
