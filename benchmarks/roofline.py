"""How fast could a device be, by its data sheet? An estimate, and never a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.operations import count
from benchmarks.pages import PageOption, put
from convert.work import Layer, Work
from pneumo_edge.bundle import load_bundle


@dataclass(frozen=True, slots=True)
class Device:
    """The two ceilings of a device."""

    name: str
    gmacs: float
    """1e9 multiply-accumulates a second, all cores."""
    gbytes: float
    """1e9 bytes a second from memory, as the data sheet has it."""
    float32: bool
    """Whether it turns weights and activations to float32."""
    reached: tuple[float, float] | None
    """Share of `gmacs` that ncnn reached with VGG16 and ResNet50 in int8; None where it publishes neither."""


@dataclass(frozen=True, slots=True)
class Published:
    """What ncnn publishes of a device: int8, 224 px, four threads, milliseconds."""

    vgg16_ms: float
    resnet50_ms: float


VGG16_GMACS, RESNET50_GMACS = 15.3, 3.8
"""Of the published networks at 224 px. Source: He et al., Deep Residual Learning, 2016, section 3.3 and Table 1."""

PI_4 = Published(394, 197)
PI_5 = Published(107, 41)
"""Source: github.com/Tencent/ncnn, benchmark/README.md."""


def _reached(published: Published, gmacs: float) -> tuple[float, float]:
    vgg16 = VGG16_GMACS / (published.vgg16_ms / 1e3) / gmacs
    return vgg16, RESNET50_GMACS / (published.resnet50_ms / 1e3) / gmacs


_A72 = 4 * 1.8 * 8
_A76 = 4 * 2.4 * 32

DEVICES = (
    Device("Raspberry Pi 4, CPU int8", _A72, 12.8, False, _reached(PI_4, _A72)),
    Device("Raspberry Pi 5, CPU int8", _A76, 17.1, False, _reached(PI_5, _A76)),
    Device("Jetson Orin Nano, CPU int8", 6 * 1.5 * 32, 68, False, None),
    Device("Jetson Orin Nano, GPU float32", 1024 * 0.625, 68, True, None),
    Device("GeForce RTX 3060, GPU float32", 3584 * 1.777, 360, True, None),
)
"""docs/devices.md says where each number comes from."""


def bound_ms(layers: Sequence[Layer], device: Device) -> float:
    """No film can be faster: each layer waits for its arithmetic or for its bytes, whichever is longer.

    Source: Williams, Waterman, Patterson, Roofline, 2009; applied layer by layer.
    """
    total = 0.0
    for layer in layers:
        stored = layer.weight_bytes + layer.activation_bytes
        moved = layer.values * 4 if device.float32 else stored
        total += max(layer.macs / (device.gmacs * 1e9), moved / (device.gbytes * 1e9))
    return total * 1e3


def estimate_ms(work: Work, device: Device) -> float | None:
    """The arithmetic at the share of the ceiling that ncnn reached with the network that is most alike."""
    if device.reached is None:
        return None
    share = device.reached[0] if work.name.startswith("vgg") else device.reached[1]
    return work.macs / (device.gmacs * 1e9 * share) * 1e3


def table(works: Sequence[Work]) -> list[str]:
    """A Markdown table: for each device and member, the bound and the estimate."""
    names = [work.name for work in works]
    lines = [
        f"| estimated, ms | {' | '.join(names)} | ensemble |",
        f"| --- |{' ---: |' * (len(names) + 1)}",
    ]
    for device in DEVICES:
        bounds = [bound_ms(work.layers, device) for work in works]
        lines.append(_row(f"{device.name}: bound", bounds))
        estimates = [ms for work in works if (ms := estimate_ms(work, device)) is not None]
        if estimates:
            lines.append(_row(f"{device.name}: at ncnn's share", estimates))
    return lines


def _row(name: str, values: Sequence[float]) -> str:
    return f"| {name} | {' | '.join(f'{ms:.1f}' for ms in [*values, sum(values)])} |"


def shares() -> list[str]:
    """A Markdown table: how much of the ceiling ncnn's published figures are."""
    lines = [
        "| published by ncnn, int8, 224 px, 4 threads | ms | of the ceiling |",
        "| --- | ---: | ---: |",
    ]
    for device, published in zip(DEVICES, (PI_4, PI_5), strict=False):
        assert device.reached is not None
        board = device.name.partition(",")[0]
        for name, ms, share in (
            ("VGG16", published.vgg16_ms, device.reached[0]),
            ("ResNet50", published.resnet50_ms, device.reached[1]),
        ):
            lines.append(f"| {board}, {name} | {ms:.0f} | {share:.0%} |")
    return lines


def command(
    bundle: Annotated[Path | None, typer.Option(help="Default: the one that ships.")] = None,
    page: PageOption = None,
) -> None:
    """Estimate the time on boards that were not measured, as Markdown tables."""
    published, estimated = shares(), table(count(load_bundle(bundle)))
    print("\n".join([*published, "", *estimated]))
    if page is not None:
        put(page, "bench roofline, published", published)
        put(page, "bench roofline", estimated)
