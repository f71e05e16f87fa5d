"""Whether this installation can do its work, and what to do where it cannot."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from pneumo_edge import choice, engines, threads
from pneumo_edge.bundle import Bundle, default_bundle, load_bundle
from pneumo_edge.cpu_features import processor
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import PneumoEdgeError
from pneumo_edge.gate.verdict import Gate
from pneumo_edge.measure import SAMPLES, measure_all
from pneumo_edge.screening import Screener
from pneumo_edge.sources import Source

State = Literal["ok", "warn", "fail"]
_PACKAGES = ("pneumo-edge", "numpy", "opencv-python-headless", "msgspec", "typer")


class Check(msgspec.Struct, frozen=True):
    """One line of the report."""

    name: str
    state: State
    says: str
    remedy: str | None = None
    """Set unless the state is ok."""


def examine(
    bundle: Path | None, engine: engines.EngineName, measure: bool = False
) -> Iterator[Check]:
    """Check one thing after the other, each as soon as the one before is known.

    Args:
        bundle: The one to test; None for `default_bundle()`.
        engine: The one to test with.
        measure: Try every engine, and keep the result for `auto`.
    """
    yield from _versions()
    yield _processor()
    yield from _engines()
    loaded: Bundle | None = None
    where = default_bundle() if bundle is None else bundle
    try:
        loaded = load_bundle(bundle)
        says = f"{loaded.id} at {where}, {len(loaded.manifest.files)} files with the right hashes"
        yield Check("bundle", "ok", says)
    except PneumoEdgeError as err:
        yield Check("bundle", "fail", err.what, err.remedy)
    if loaded is not None:
        if measure:
            yield from _measure(loaded)
        yield _auto(loaded)
        yield _gate(loaded)
        yield from _self_test(loaded, engine)


def _versions() -> Iterator[Check]:
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    yield Check("python", "ok" if supported else "warn", python, None if supported else _PYTHON)
    says = [f"{package} {_package_version(package)}" for package in _PACKAGES]
    yield Check("packages", "ok", ", ".join(says))


def _package_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "from elsewhere"  # the desktop build of OpenCV does as well


_PYTHON = "use Python 3.10 to 3.13, which the project is tested on"


def _processor() -> Check:
    found = processor()
    cores = f"{threads.available()} cores, {found.machine}"
    if not found.known:
        remedy = "measure the speed with pneumo-edge infer; only Linux lists the features"
        return Check("processor", "warn", f"{cores}, features unknown", remedy)
    names = ", ".join(feature.name for feature in found.features) or "no int8 feature"
    if found.has_dot_products:
        return Check("processor", "ok", f"{cores}, {names}: {found.features[0].helps}")
    return Check(
        "processor",
        "warn",
        f"{cores}, {names}: no int8 dot products, so int8 runs at a fraction of its speed",
        "for more speed use an x86 with VNNI or an Arm with DotProd; answers are the same",
    )


def _engines() -> Iterator[Check]:
    anything = any(kind.installed() for kind in engines.KINDS)
    for kind in engines.KINDS:
        name = f"engine {kind.name}"
        version = kind.version()
        if version is None:
            # One engine is enough.
            state: State = "ok" if anything else "fail"
            remedy = None if anything else f"run: {kind.remedy}"
            yield Check(name, state, "not installed, not needed" if anything else "absent", remedy)
            continue
        try:
            engines.choose(kind.name)
            yield Check(name, "ok", f"{kind.distribution} {version}")
        except PneumoEdgeError as err:
            yield Check(name, "fail", err.what, err.remedy)


def _measure(bundle: Bundle) -> Iterator[Check]:
    try:
        found = measure_all(bundle)
        choice.write(found, bundle)
    except PneumoEdgeError as err:
        yield Check("measure", "fail", err.what, err.remedy)
        return
    for trial in found.trials:
        layout = f"{trial.threads} threads x {trial.side_by_side} members at a time"
        where = f", on {trial.card}" if trial.card else ""
        says = f"{trial.film_ms:.1f} ms a film, {trial.load_ms:.0f} ms to load, {layout}{where}"
        yield Check(f"measured {trial.engine}", "ok", says)
    for failure in found.failures:
        yield Check(f"measured {failure.engine}", "ok", f"not usable here: {failure.what}")


def _auto(bundle: Bundle) -> Check:
    """What `auto` takes for one film, and for many."""
    found = choice.read(bundle)
    if found is None:
        first = engines.kind("auto").name
        says = f"{first}, the first that is installed; doctor --measure finds the fastest"
        return Check("auto", "ok", says)
    parts = []
    for films, named in ((1, "one film"), (10_000, "many")):
        best = found.best("auto", films, early_exit=False)
        if best is not None:
            parts.append(f"{named}: {best.engine} ({best.film_ms:.1f} ms a film)")
    early = found.best("auto", 10_000, early_exit=True)
    if early is not None and early.orders:
        parts.append(f"early exit: {' '.join(early.orders['paper'])}")
    says = f"{'; '.join(parts)}; measured {found.measured}, kept in {choice.path(bundle)}"
    return Check("auto", "ok", says)


def _gate(bundle: Bundle) -> Check:
    """Whether the bundle can tell a chest film from other pictures."""
    try:
        known = Gate.of(bundle).statistics
    except PneumoEdgeError as err:
        return Check("gate", "fail", err.what, err.remedy)
    if known is not None:
        return Check("gate", "ok", f"statistics of {known.member}'s features, pose and crop")
    says = "this bundle has no statistics: only size, shape, colour and contrast are looked at"
    remedy = "fit them: pneumo-edge convert BUNDLE --gate-only --data DATA --out NEW"
    return Check("gate", "warn", says, remedy)


def _self_test(bundle: Bundle, engine: engines.EngineName) -> Iterator[Check]:
    """Screen the samples, which takes every part once."""
    try:
        gate = Gate.of(bundle)
        ensemble = Ensemble(
            bundle, engines.choose(engine), threads.available(), watched=gate.member
        )
        ensemble.load()
        screener = Screener(ensemble, "paper", gate=gate)
        for expected in ("normal", "pneumonia"):
            finding = screener.screen(Source(str(SAMPLES / f"{expected}.png")))
            assert finding.y is not None  # no early exit was asked for
            says = f"{finding.label}, y {finding.y:.3f}, {finding.ms.infer:.0f} ms to infer"
            if finding.label == expected:
                yield Check(f"sample {expected}", "ok", f"{says}, engine {finding.engine}")
            else:
                remedy = "leave out --bundle, or reinstall pneumo-edge"
                yield Check(f"sample {expected}", "fail", f"{says}, not {expected}", remedy)
    except PneumoEdgeError as err:
        yield Check("self-test", "fail", err.what, err.remedy)
