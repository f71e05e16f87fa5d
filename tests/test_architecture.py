"""The contracts between the folders that ARCHITECTURE.md states."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: dict[str, set[str]] = {
    "pneumo_edge": set(),
    "train": {"pneumo_edge"},
    "convert": {"pneumo_edge", "train"},
    "firmware_host": {"pneumo_edge"},
    "benchmarks": {"pneumo_edge", "train", "convert"},
}
DEVICE = ("pneumo_edge", "firmware_host")
"""The folders that run where TensorFlow is not."""

HEAVY = {
    "tensorflow",
    "keras",
    "sklearn",
    "scipy",
    "matplotlib",
    "torch",
    "jax",
    "ai_edge_quantizer",
}


def modules(*folders: str) -> list[Path]:
    """Every module of the folders, relative to the checkout."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in found]


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports, at its top or inside a function, types included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; name the package"
            names.add(str(node.module).partition(".")[0])
    return names


def ids(path: Path) -> str:
    return path.as_posix()


@pytest.mark.parametrize("path", modules(*MAY_IMPORT), ids=ids)
def test_a_stage_imports_only_what_stands_above_it(path: Path) -> None:
    stage = path.parts[0]
    assert imported(path) & MAY_IMPORT.keys() <= MAY_IMPORT[stage] | {stage}


@pytest.mark.parametrize("path", modules(*DEVICE), ids=ids)
def test_nothing_on_the_device_imports_a_training_library(path: Path) -> None:
    assert not imported(path) & HEAVY


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a statement leaves loaded in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint(' '.join(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_command_line_loads_no_training_library_and_no_other_stage() -> None:
    assert not loaded_by("import pneumo_edge.cli") & (HEAVY | MAY_IMPORT.keys() - {"pneumo_edge"})


@pytest.mark.parametrize("arguments", [["--help"], ["infer", "--help"], ["train", "--help"]])
def test_help_loads_no_training_library(arguments: list[str]) -> None:
    loaded = loaded_by(
        "from typer.testing import CliRunner; from pneumo_edge.cli import app; "
        f"assert CliRunner().invoke(app, {arguments}).exit_code == 0"
    )
    assert not loaded & HEAVY


def test_the_check_above_would_see_a_heavy_module() -> None:
    assert "sklearn" in loaded_by("import sklearn") & HEAVY


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def imported_modules(path: Path) -> set[str]:
    """The modules that a test names in full, as `import a.b`, `from a.b import c` or `from a import b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("stage", MAY_IMPORT)
def test_every_module_has_a_test_in_the_mirror(stage: str) -> None:
    tests = modules(f"tests/{stage}")
    named = {dotted(path).split(".test_")[-1] for path in tests}
    reached = set().union(*(imported_modules(path) for path in tests))
    code = [path for path in modules(stage) if path.name != "__init__.py"]
    untested = [p for p in code if p.stem not in named and dotted(p) not in reached]
    assert not untested, f"no file of tests/{stage} is named after, or imports, {untested}"


@pytest.mark.parametrize("extra", metadata.metadata("pneumo-edge").get_all("Provides-Extra") or [])
def test_every_extra_is_explained(extra: str) -> None:
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "".join(page.read_text(encoding="utf-8") for page in pages if page.is_file())
    assert f"`{extra}`" in text or f"pneumo-edge[{extra}]" in text


def test_the_project_has_the_extras_that_it_promises() -> None:
    extras = set(metadata.metadata("pneumo-edge").get_all("Provides-Extra") or [])
    assert {"train", "tflite-runtime", "dicom", "kiosk", "bench", "dev"} <= extras


def test_every_console_command_can_be_loaded() -> None:
    scripts = metadata.entry_points(group="console_scripts", name="pneumo-edge")
    commands = metadata.entry_points(group="pneumo_edge.commands")
    assert {entry.name for entry in scripts} == {"pneumo-edge"}
    assert {"train", "convert", "bench"} <= {entry.name for entry in commands}
    for entry in [*scripts, *commands]:
        assert callable(entry.load())
