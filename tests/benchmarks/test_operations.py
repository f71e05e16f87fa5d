from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import roofline
from benchmarks.operations import count, table
from convert.work import Layer, Work
from pneumo_edge.bundle import load_bundle


@pytest.fixture(scope="module")
def works(shipped_bundle: Path) -> list[Work]:
    return count(load_bundle(shipped_bundle))


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


def test_the_bound_is_the_slower_of_arithmetic_and_memory() -> None:
    device = roofline.Device("a board", 1.0, 2.0, float32=False, reached=None)
    computing = Layer("CONV_2D", macs=10**6, weight_bytes=10, activation_bytes=10, values=20)
    moving = Layer("ADD", macs=0, weight_bytes=0, activation_bytes=4 * 10**6, values=4 * 10**6)
    assert roofline.bound_ms([computing], device) == pytest.approx(1.0)
    assert roofline.bound_ms([moving], device) == pytest.approx(2.0)
    assert roofline.bound_ms([computing, moving], device) == pytest.approx(3.0)


def test_no_estimate_is_below_the_bound_of_its_arithmetic(works: list[Work]) -> None:
    for device in roofline.DEVICES:
        for work in works:
            estimate = roofline.estimate_ms(work, device)
            assert estimate is None or estimate > work.macs / device.gmacs / 1e6


def test_the_page_on_devices_holds_what_the_commands_print(root: Path, works: list[Work]) -> None:
    page = (root / "docs" / "devices.md").read_text(encoding="utf-8").splitlines()
    printed = [*table(works), *roofline.shares(), *roofline.table(works)]
    missing = [line for line in printed if line not in page]
    assert not missing, "run pneumo-edge bench operations and bench roofline, and put this in"
