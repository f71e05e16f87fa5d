"""How fast could any engine be on one core of this machine, and how near to that is ours?

Cost model: every multiply-accumulate of a member is carried out, at the highest rate that a library
reaches on this core with the product of two matrices that suits it best: no borders, no strides, operands
that stay in the cache. Memory and everything that is no multiplication are left out, so no engine that
does the arithmetic can be faster. What a float32 engine takes at least is told in the same way; the two
rates' quotient is the most that int8 can gain here over an equally good float32 engine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.laps import Spread, laps_ms
from benchmarks.machine import this_machine
from benchmarks.operations import count
from benchmarks.pages import PageOption, put
from convert.work import Work
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.engines import choose

Precision = Literal["int8", "float32"]

SIDES = (256, 512, 1024)
"""Of the square matrices; one of them suits each core's caches best."""

OPSET = 21
"""The ONNX standard's version in which both products are written down."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Multiply-accumulates of one core, in 1e9 a second."""

    int8: float
    float32: float


@dataclass(frozen=True, slots=True)
class Row:
    """One member, or all together; milliseconds for one film."""

    name: str
    int8_ms: float
    """No less is possible in int8."""
    float32_ms: float
    """Nor in float32."""
    measured_ms: float
    """By the engine `cpu`, its backbone alone; the median."""


def product(precision: Precision, side: int) -> tuple[bytes, NDArray[np.uint8 | np.float32]]:
    """A product of two square matrices as an ONNX model, the second a constant; and the first.

    Args:
        precision: int8 multiplies uint8 by int8 into int32 (MatMulInteger), as a layer of a member does.
        side: Rows and columns.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    draw = np.random.default_rng(side)
    if precision == "int8":
        left = draw.integers(0, 256, (side, side)).astype(np.uint8)
        right = draw.integers(-127, 128, (side, side)).astype(np.int8)
        operator, given, made = "MatMulInteger", TensorProto.UINT8, TensorProto.INT32
    else:
        left = draw.normal(size=(side, side)).astype(np.float32)
        right = draw.normal(size=(side, side)).astype(np.float32)
        operator, given, made = "MatMul", TensorProto.FLOAT, TensorProto.FLOAT
    shape = [side, side]
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", given, shape)],
        [helper.make_tensor_value_info("product", made, shape)],
        [numpy_helper.from_array(right, "right")],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    version = helper.find_min_ir_version_for(opsets)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=version)
    onnx.checker.check_model(model)
    return model.SerializeToString(), left


def rate(precision: Precision, laps: int) -> float:
    """The highest rate of one core over sizes and laps, in 1e9 multiply-accumulates a second."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    best = 0.0
    for side in SIDES:
        model, left = product(precision, side)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        given = {"left": left}
        wall = laps_ms(lambda s=session, g=given: s.run(None, g), laps, 2, time.perf_counter_ns)  # type: ignore[misc]
        best = max(best, side**3 / (wall.best * 1e6))
    return best


def measure(bundle: Bundle, laps: int) -> tuple[Rates, list[Row]]:
    """Rates of this core, and for each member and all of them what follows from these."""
    rates = Rates(rate("int8", laps), rate("float32", laps))
    times = {
        member.name: _time(bundle, member.file, laps).p50 for member in bundle.manifest.members
    }
    rows = [_row(work, rates, times[work.name]) for work in count(bundle)]
    whole = Row(
        "ensemble",
        sum(row.int8_ms for row in rows),
        sum(row.float32_ms for row in rows),
        sum(row.measured_ms for row in rows),
    )
    return rates, [*rows, whole]


def _time(bundle: Bundle, file: str, laps: int) -> Spread:
    runner = choose("cpu").backbone(bundle.content(file), file, 1)
    side = bundle.manifest.input.rows
    film = np.random.default_rng(0).integers(-128, 128, (1, side, side, 1)).astype(np.int8)
    return laps_ms(lambda: runner.features(film), laps, 3, time.perf_counter_ns)


def _row(work: Work, rates: Rates, measured_ms: float) -> Row:
    return Row(
        work.name,
        work.macs / (rates.int8 * 1e6),
        work.macs / (rates.float32 * 1e6),
        measured_ms,
    )


def table(rates: Rates, rows: Sequence[Row]) -> list[str]:
    """A Markdown table, and the machine that it is of."""
    machine, ratio = this_machine(), rates.int8 / rates.float32
    return [
        f"Measured on one core of {machine.cpu} ({machine.isa}): {rates.int8:.0f} thousand million",
        f"multiply-accumulates a second in int8, {rates.float32:.0f} in float32, a ratio of {ratio:.1f}.",
        "",
        "| one film, ms | int8: no less than | float32: no less than | engine `cpu` takes | of the ceiling |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {row.name} | {row.int8_ms:.1f} | {row.float32_ms:.1f} | {row.measured_ms:.1f} "
            f"| {row.int8_ms / row.measured_ms:.0%} |"
            for row in rows
        ),
    ]


def command(
    bundle: Annotated[Path | None, typer.Option(help="Default: the one that ships.")] = None,
    laps: Annotated[
        int, typer.Option(min=1, help="Calls of each; the best or the median counts.")
    ] = 50,
    page: PageOption = None,
) -> None:
    """Measure how fast any engine could be on one core of this machine, as a Markdown table."""
    lines = table(*measure(load_bundle(bundle), laps))
    print("\n".join(lines))
    if page is not None:
        put(page, "bench ceiling", lines)
