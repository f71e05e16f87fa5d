from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from train.ablate import Result, run_ablation, table
from train.options import AblationOptions, plan_ablation
from train.recipe import Recipe
from train.variants import WHOLE

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_an_ablation_trains_each_variant_once_and_tabulates_it(
    data: Path, tiny: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "mine.json").write_bytes(msgspec.json.encode(tiny))
    options = AblationOptions(
        data,
        tmp_path / "out",
        str(tmp_path / "mine.json"),
        "cnn",
        ("augmentation",),
        8,
        1,
        1,
        "none",
        "none",
        "float32",
    )
    results = run_ablation(options, plan_ablation(options))
    assert [r.variant for r in results] == [WHOLE, "without augmentation"]
    assert all(r.images == 8 and r.init == "none" for r in results)
    assert all(0 <= r.held_out_auc <= 1 and 0 <= r.test_auc <= 1 for r in results)
    assert json.loads((tmp_path / "out/ablation.json").read_text()) == msgspec.to_builtins(results)
    text = (tmp_path / "out/ablation.md").read_text()
    assert f"{results[1].test_auc:.4f}" in text
    assert str(tmp_path) not in text

    checkpoint = tmp_path / "out/as-it-is/seed-0/cnn/fold-0/checkpoint.keras"
    written = checkpoint.stat().st_mtime_ns
    again = replace(options, vary=("augmentation", "averaging"))
    more = run_ablation(again, plan_ablation(again))
    assert more[:2] == results
    assert len(more) == 3
    assert checkpoint.stat().st_mtime_ns == written


def result(variant: str, seed: int, test_auc: float) -> Result:
    return Result(
        variant=variant,
        seed=seed,
        recipe="-",
        init="none",
        images=1,
        held_out_auc=0.9,
        test_auc=test_auc,
        test_accuracy=0.8,
        seconds=1.0,
    )


def test_the_table_compares_seed_by_seed() -> None:
    results = [
        result(WHOLE, 0, 0.95),
        result("without x", 0, 0.94),
        result(WHOLE, 1, 0.97),
        result("without x", 1, 0.93),
    ]
    whole, without = table(results)[2:]
    assert whole.split(" | ")[1:5] == [
        "2",
        "0.9000 (0.9000 to 0.9000)",
        "0.9600 (0.9500 to 0.9700)",
        "",
    ]
    assert without.split(" | ")[4] == "+0.0250"
    assert table(results[:1])[2].split(" | ")[3] == "0.9500"
