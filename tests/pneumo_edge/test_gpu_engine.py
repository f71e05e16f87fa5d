"""The graphics card, or SwiftShader in its place, answers as the processor does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumo_edge import choice, tflite_file
from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose, kind
from pneumo_edge.manifest import MEMBER_NAMES
from pneumo_edge.measure import APART, SAMPLES
from pneumo_edge.screening import ready
from pneumo_edge.sources import Source

Cli = Callable[..., Any]

PROBE = """
import sys
from pathlib import Path
import numpy as np
from pneumo_edge.engines import choose
from pneumo_edge.errors import EngineError
model, pixels, out = map(Path, sys.argv[1:])
try:
    engine = choose("gpu")
    backbone = engine.backbone(model, model.name, 1)
    np.save(out, backbone.features(np.load(pixels)))
    print(engine.card)
except EngineError as err:
    sys.exit(err.what)
"""

pytestmark = pytest.mark.skipif(
    not kind("gpu").installed(), reason="this LiteRT has no WebGPU accelerator"
)


AFTER_A_STRIDE = 22
"""Operators of ResNet50 up to the first block that begins with a strided 1 x 1 convolution."""


EQUAL = 0.82
"""Share of a member's features that have to be those of the processor."""


def first_operators(model: Path, count: int) -> bytes:
    """The model up to an operator, whose output becomes its only one."""
    parsed = tflite_file.parse(model.read_bytes())
    (graph,) = parsed.subgraphs
    graph.operators = graph.operators[:count]
    graph.outputs = graph.operators[-1].outputs
    parsed.signatureDefs = None
    return tflite_file.pack(parsed)


def environment(**settings: str) -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if not name.startswith("VK_")
    } | settings


@pytest.fixture(scope="module")
def graphics(root: Path) -> dict[str, str]:
    """The machine's own card where VK_ICD_FILENAMES names one, else SwiftShader."""
    named = os.environ.get("VK_ICD_FILENAMES")
    if named is not None:
        return environment(VK_ICD_FILENAMES=named)
    unpack = [root / ".ci" / "swiftshader-tools"]
    made = subprocess.run(unpack, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        last = (made.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"no graphics card in software can be had here: {last}")
    folder = root / ".tools" / "swiftshader"
    return environment(
        VK_ICD_FILENAMES=str(folder / "vk_swiftshader_icd.json"),
        XDG_RUNTIME_DIR=str(folder / "runtime"),
        LD_LIBRARY_PATH=os.pathsep.join([str(folder), os.environ.get("LD_LIBRARY_PATH", "")]),
    )


def on_the_card(
    model: Path, pixels: NDArray[np.int8], graphics: dict[str, str], folder: Path
) -> NDArray[np.float32]:
    """The features of a model on the graphics card, in a process of its own.

    The engine refuses a model that is not accelerated as a whole, so that this says that it is.
    """
    np.save(folder / "pixels.npy", pixels)
    files = [str(path) for path in (model, folder / "pixels.npy", folder / "out.npy")]
    command = [sys.executable, "-c", PROBE, *files]
    done = subprocess.run(command, env=graphics, capture_output=True, text=True, check=False)
    if "finds no graphics card" in done.stderr:
        pytest.skip(f"LiteRT takes none of {graphics['VK_ICD_FILENAMES']}: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, ""), "a driver's noise came through"
    (card,) = done.stdout.splitlines()  # and nothing of the driver's
    assert "SwiftShader" in card or "swiftshader" not in graphics["VK_ICD_FILENAMES"]
    assert card != "None"
    found: NDArray[np.float32] = np.load(folder / "out.npy")
    return found


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_a_strided_block_answers_as_on_the_processor(
    graphics: dict[str, str], grey: NDArray[np.uint8], tmp_path: Path
) -> None:
    model = tmp_path / "block.tflite"
    model.write_bytes(first_operators(load_bundle().path / "resnet50.tflite", AFTER_A_STRIDE))
    pixels = np.ascontiguousarray(grey[:150, :150]).reshape(1, 150, 150, 1).view(np.int8)
    found = on_the_card(model, pixels, graphics, tmp_path)
    expected = choose("cpu").backbone(model, model.name, 1).features(pixels)
    # Float arithmetic between int8 roundings: single steps differ. A stride that is lost leaves 0.73.
    assert likeness(found, expected) > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("member", MEMBER_NAMES)
def test_each_whole_member_is_accelerated_and_votes_as_on_the_processor(
    graphics: dict[str, str], member: str, tmp_path: Path
) -> None:
    bundle = load_bundle()
    model = bundle.path / f"{member}.tflite"
    tensor = ready(Source(str(SAMPLES / "pneumonia.png"))).tensor
    pixels = tensor.signed
    found = on_the_card(model, pixels, graphics, tmp_path)
    processor = choose("cpu")
    expected = processor.backbone(model, member, 1).features(pixels)
    assert likeness(found, expected) > 0.99
    # Added in float32, 85 to 97 of 100 features are the very same level; in float16, 72 and 79 of the VGGs'.
    assert np.mean(found == expected) > EQUAL
    head = processor.head(bundle.path / bundle.manifest.head, "head")
    # Single steps of int8 in each of up to 53 layers; `auto` refuses an engine that is off by 0.1.
    votes = [head.classify(member, features)[1] for features in (found, expected)]
    assert abs(votes[0] - votes[1]) < APART


def test_auto_falls_back_to_the_processor_and_says_so(
    cli: Cli, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(name, os.devnull)
    bundle = load_bundle()
    costs = dict.fromkeys(bundle.manifest.evaluation_order, 1.0)
    fast = choice.Trial("gpu", 1, 1, 0.0, 1.0, costs, {}, [0.2, 0.9])
    choice.write(choice.Choice(choice.key(bundle), "2026-11-22T00:00:00+00:00", [fast], []), bundle)
    ran = cli("infer", film, "--json")
    found = json.loads(ran.out)
    if found["engine"] == "gpu":
        pytest.skip("a card was found without Vulkan")
    assert (ran.code, found["engine"]) == (0, kind("auto").name)
    (line,) = ran.err.splitlines()
    assert line.startswith("warning: the engine gpu finds no graphics card")
    assert line.endswith(f"going on with the engine {found['engine']}")
    named = cli("infer", film, "--engine", "gpu")
    assert (named.code, named.out) == (1, "")


def test_without_a_driver_it_is_one_line_with_a_remedy(film: Path) -> None:
    command = [sys.executable, "-c", "from pneumo_edge.cli import main; main()", "infer", str(film)]
    done = subprocess.run(
        [*command, "--engine", "gpu", "--json"],
        env=environment(VK_ICD_FILENAMES=os.devnull, VK_DRIVER_FILES=os.devnull),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        assert json.loads(done.stdout)["engine"] == "gpu"
        pytest.skip("a card was found without Vulkan")
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("error: the engine gpu finds no graphics card")
    assert "to fix it, install the card's driver" in line
