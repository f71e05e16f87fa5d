"""What the README says is what the repository does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pneumo_edge.bundle import load_bundle
from train.card import figures_row


@pytest.fixture(name="readme")
def read(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def test_its_figures_are_those_of_the_bundle_that_ships(readme: str) -> None:
    rows = [
        row
        for row in load_bundle().manifest.figures
        if row.subject == "fused" and "/" not in row.split  # by view: in the model card
    ]
    assert len(rows) >= 6
    missing = [figures_row(row) for row in rows if figures_row(row) not in readme]
    assert missing == [], "the README's table is not the manifest's"


def test_it_tells_no_other_bundle_or_figure(readme: str) -> None:
    manifest = load_bundle().manifest
    cell = r"\d\.\d{4} \(\d\.\d{4} to \d\.\d{4}\)"
    known = {found for row in manifest.figures for found in re.findall(cell, figures_row(row))}
    assert set(re.findall(cell, readme)) <= known
    assert set(re.findall(r"bundle `([0-9a-f]{12})`", readme)) == {manifest.id}


def test_every_file_that_it_links_to_is_there(readme: str, root: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links
    assert [link for link in links if not (root / link).exists()] == []


def test_every_command_of_its_tour_exists(readme: str) -> None:
    commands = set(re.findall(r"^pneumo-edge ((?:train )?[a-z]+)", readme, flags=re.MULTILINE))
    assert {"infer", "convert", "doctor", "train fit", "train fuse", "train evaluate"} <= commands
    for command in sorted(commands):
        words = [Path(sys.executable).with_name("pneumo-edge"), *command.split(), "--help"]
        asked = subprocess.run(words, capture_output=True, text=True, check=False)
        assert asked.returncode == 0, f"{command}: {asked.stderr}"
