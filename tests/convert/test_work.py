from __future__ import annotations

from pathlib import Path

import pytest

from convert.work import Work, count
from pneumo_edge.bundle import load_bundle


@pytest.fixture(scope="module")
def works(shipped_bundle: Path) -> list[Work]:
    manifest = load_bundle(shipped_bundle).manifest
    backbones = {m.name: (shipped_bundle / m.file).read_bytes() for m in manifest.members}
    return count(backbones, (shipped_bundle / manifest.head).read_bytes())


@pytest.mark.parametrize(
    ("member", "published", "side"),
    [("vgg16", 15.3e9, 224), ("vgg19", 19.6e9, 224), ("resnet50", 3.8e9, 224)],
)
def test_the_count_is_the_published_one_scaled_to_the_films_side(
    works: list[Work], member: str, published: float, side: int
) -> None:
    # He et al. 2016, section 3.3 and Table 1, at 224 px, three channels, with another top.
    (work,) = [work for work in works if work.name == member]
    assert work.macs == pytest.approx(published * (150 / side) ** 2, rel=0.16)


def test_each_weight_of_a_member_is_counted_once(works: list[Work], shipped_bundle: Path) -> None:
    for work in works:
        stored = (shipped_bundle / f"{work.name}.tflite").stat().st_size
        backbone = sum(
            layer.weight_bytes for layer in work.layers if layer.kind != "FULLY_CONNECTED"
        )
        assert backbone == pytest.approx(stored, rel=0.15)
