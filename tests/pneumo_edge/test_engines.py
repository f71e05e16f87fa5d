"""Which engines there are, and how the missing one is named."""

from __future__ import annotations

from importlib import metadata

import pytest

from pneumo_edge import engines
from pneumo_edge.errors import EngineError, MissingExtraError

INSTALLED = [kind for kind in engines.KINDS if kind.installed()]
ABSENT = [kind for kind in engines.KINDS if not kind.installed()]


@pytest.mark.parametrize("kind", INSTALLED, ids=lambda kind: kind.name)
def test_the_version_is_the_installers(kind: engines.EngineKind) -> None:
    assert kind.version() == metadata.version(kind.distribution)


@pytest.mark.parametrize("kind", INSTALLED, ids=lambda kind: kind.name)
def test_what_is_installed_can_be_chosen(kind: engines.EngineKind) -> None:
    assert engines.choose(kind.name).name == kind.name


@pytest.mark.parametrize("kind", ABSENT, ids=lambda kind: kind.name)
def test_what_is_absent_says_how_to_get_it(kind: engines.EngineKind) -> None:
    assert kind.version() is None
    with pytest.raises(MissingExtraError, match="is not installed; to fix it, run: pip install"):
        engines.choose(kind.name)


def test_auto_is_never_the_graphics_card_unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engines.kind("auto").name != "gpu"
    (gpu,) = [kind for kind in engines.KINDS if kind.name == "gpu"]
    monkeypatch.setattr(engines, "KINDS", (gpu,))
    with pytest.raises(MissingExtraError, match="no inference engine is installed"):
        engines.choose("auto")


def test_a_broken_installation_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> engines.Engine:
        raise ImportError("numpy 1 was expected\nand more")

    kind = engines.EngineKind("cpu", "numpy", "numpy", "pip install it", broken)
    monkeypatch.setattr(engines, "KINDS", (kind,))
    with pytest.raises(EngineError) as err:
        engines.choose("cpu")
    assert str(err.value) == (
        "the engine cpu cannot be imported (numpy 1 was expected);"
        " to fix it, reinstall it: pip install it"
    )


def test_a_build_without_the_accelerator_has_no_gpu() -> None:
    for parts, there in ((("*Gpu*",), False), (("*.py", "*Gpu*"), False), (("*.py", "ma"), True)):
        kind = engines.EngineKind("gpu", "numpy", "numpy", "pip install it", lambda: None, parts)  # type: ignore[arg-type, return-value]
        assert kind.installed() == there
        assert (kind.version() is not None) == there
