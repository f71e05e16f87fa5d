"""What the doctor says of a sound installation and of broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumo_edge import choice, doctor
from pneumo_edge.bundle import load_bundle
from pneumo_edge.choice import Choice, Failure, Trial
from pneumo_edge.cpu_features import processor
from pneumo_edge.doctor import examine
from pneumo_edge.measure import SAMPLES
from pneumo_edge.sources import Source

Cli = Callable[..., Any]

AMD = "processor : 0\nmodel name : AMD EPYC\nflags\t\t: fpu sse2 avx avx2 sha_ni\n"
XEON = "flags : fpu avx2 avx512bw avx512_vnni amx_int8\n"
PI5 = "Features\t: fp asimd asimdhp asimddp\n"
PI3 = "Features\t: fp asimd crc32\n"


def test_the_installation_under_test_is_sound(cli: Cli) -> None:
    ran = cli("doctor", "--json")
    checks = [json.loads(line) for line in ran.out.splitlines()]
    failed = [check for check in checks if check["state"] == "fail"]
    assert (failed, ran.code) == ([], 0)
    names = {check["name"] for check in checks}
    assert {"python", "packages", "processor", "engine cpu", "bundle"} <= names
    assert {"sample normal", "sample pneumonia"} <= names
    assert all(check["remedy"] for check in checks if check["state"] != "ok")


def test_the_samples_are_read(cli: Cli) -> None:
    for label in ("normal", "pneumonia"):
        assert len(Source(str(SAMPLES / f"{label}.png")).read()) > 1000


def test_auto_says_what_it_takes_and_whether_that_was_measured(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    bundle = load_bundle()
    plain = doctor._auto(bundle)
    assert (plain.name, plain.state) == ("auto", "ok")
    assert "the first that is installed; doctor --measure finds the fastest" in plain.says
    costs = dict.fromkeys(bundle.manifest.evaluation_order, 5.0)
    orders = {"paper": list(costs)}
    one = Trial("cpu", 1, 1, 100.0, 20.0, costs, orders, [0.2, 0.9])
    many = Trial("openvino", 1, 1, 4000.0, 11.0, costs, orders, [0.2, 0.9])
    soft = Trial("gpu", 1, 1, 9000.0, 900.0, costs, orders, [0.2, 0.9], "A card in software")
    failed = [Failure("tflite-runtime", "no kernels")]
    found = Choice(choice.key(bundle), "2026-11-22T00:00:00+00:00", [one, many, soft], failed)
    monkeypatch.setattr(doctor, "measure_all", lambda _: found)
    said = {check.name: check.says for check in doctor._measure(bundle)}
    assert "20.0 ms a film" in said["measured cpu"]
    assert said["measured cpu"].endswith("members at a time")
    assert said["measured gpu"].endswith("members at a time, on A card in software")
    assert said["measured tflite-runtime"] == "not usable here: no kernels"
    says = doctor._auto(bundle).says
    assert "one film: cpu (20.0 ms a film); many: openvino (11.0 ms a film)" in says
    assert f"early exit: {' '.join(costs)}" in says
    assert str(own_cache) in says


def test_a_measurement_that_cannot_be_kept_fails_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    own_cache.write_text("a file stands where the folder belongs")
    bundle = load_bundle()
    found = Choice(choice.key(bundle), "2026-11-22T00:00:00+00:00", [], [])
    monkeypatch.setattr(doctor, "measure_all", lambda _: found)
    (check,) = doctor._measure(bundle)
    assert check.state == "fail"
    assert choice.ENVIRONMENT in str(check.remedy)


def test_a_broken_bundle_fails_with_its_remedy(cli: Cli, tmp_path: Path) -> None:
    ran = cli("doctor", "--bundle", tmp_path)
    assert ran.code == 1
    assert "fail  bundle" in ran.out
    assert "manifest.json is missing" in ran.out
    assert "to fix it, copy the bundle again" in ran.out
    (failed,) = [check for check in examine(tmp_path, "auto") if check.state == "fail"]
    assert failed.name == "bundle"


@pytest.mark.parametrize(
    ("cpuinfo", "flags", "dot_products"),
    [
        (AMD, ["avx2"], False),
        (XEON, ["amx_int8", "avx512_vnni", "avx512bw", "avx2"], True),
        (PI5, ["asimddp", "asimd"], True),
        (PI3, ["asimd"], False),
    ],
)
def test_the_features_are_read_fastest_first(
    tmp_path: Path, cpuinfo: str, flags: list[str], dot_products: bool
) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(cpuinfo)
    found = processor(path)
    assert found.known
    assert [feature.flag for feature in found.features] == flags
    assert found.has_dot_products == dot_products
    assert found.name == ("AMD EPYC" if cpuinfo == AMD else "")


def test_a_system_that_lists_no_features_is_unknown(tmp_path: Path) -> None:
    found = processor(tmp_path / "nowhere")
    assert (found.known, found.features) == (False, ())
