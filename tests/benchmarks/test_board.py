from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import board


@pytest.fixture
def sys_folder(tmp_path: Path) -> Path:
    """What the kernel of a Raspberry Pi shows below /sys."""
    files = {
        "class/thermal/thermal_zone0/temp": "48312\n",
        "class/thermal/thermal_zone1/temp": "61250\n",
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
        "devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "600000\n",
        "devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "firmware/devicetree/base/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    }
    for name, text in files.items():
        path = tmp_path / "sys" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "sys"


@pytest.fixture
def vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of the firmware's; the test writes what it says."""
    program = tmp_path / "bin" / "vcgencmd"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


def test_the_hottest_zone_and_the_slowest_core_count(sys_folder: Path) -> None:
    found = board.sample(sys_folder)
    assert (found.celsius, found.mhz, found.governor) == (61.2, 600.0, "ondemand")
    assert board.model(sys_folder) == "Raspberry Pi 4 Model B Rev 1.4"


def test_a_machine_that_tells_nothing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert board.sample(tmp_path) == board.Sample(None, None, None, None)
    assert board.model(tmp_path) is None


def test_a_zone_that_refuses_is_passed_over(sys_folder: Path) -> None:
    (sys_folder / "class/thermal/thermal_zone1/temp").write_text("")
    assert board.sample(sys_folder).celsius == 48.3


def test_the_firmwares_bits_become_words(vcgencmd: Path) -> None:
    # 0x50005 stands in the Raspberry Pi forum wherever a supply is too weak.
    vcgencmd.write_text("#!/bin/sh\necho throttled=0x50005\n")
    words = board.throttling()
    assert words == [
        "under-voltage now",
        "throttled now",
        "under-voltage since boot",
        "throttled since boot",
    ]
    sampled = board.Sample(None, None, None, words)
    assert board.Board(None, [sampled]).throttled
    vcgencmd.write_text("#!/bin/sh\necho throttled=0x0\n")
    assert board.throttling() == []


def test_a_firmware_that_fails_tells_nothing(vcgencmd: Path) -> None:
    vcgencmd.write_text("#!/bin/sh\necho VCHI initialization failed; exit 255\n")
    assert board.throttling() is None
