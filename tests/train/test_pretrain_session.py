from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pneumo_edge.errors import RecipeError
from train.options import PretrainOptions, plan_pretraining
from train.pretrain_session import pretrain_members
from train.recipe import Recipe, load_recipe


def test_the_films_are_told_before_the_weights_are_looked_for(
    data: Path, tiny: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = load_recipe("best").pretraining
    assert part is not None
    small = msgspec.structs.replace(part, monitor_images=2)
    (tmp_path / "mine.json").write_bytes(
        msgspec.json.encode(msgspec.structs.replace(tiny, pretraining=small))
    )
    (tmp_path / "init").mkdir()
    options = PretrainOptions(
        (data / "train",),
        tmp_path / "out",
        str(tmp_path / "mine.json"),
        ("vgg16",),
        str(tmp_path / "init"),
        "float32",
    )
    with pytest.raises(RecipeError, match="init has no weights of the teacher, resnet50"):
        pretrain_members(options, plan_pretraining(options))
    assert "32 films without labels; 0 skipped" in capsys.readouterr().err
    assert not list((tmp_path / "out").rglob("*.h5"))
