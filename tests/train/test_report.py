from __future__ import annotations

import pytest

from pneumo_edge.manifest import Figures, Measure
from train.report import print_figures, print_fusion
from train.run import Fusion

WIDE = Measure(value=0.1234, low=0.1034, high=0.9876)


def test_a_table_in_a_pipe_keeps_each_row_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        Figures(
            subject=subject,
            precision="float32",
            split="test",
            operating_point="screening",
            threshold=0.25,
            n=624,
            auc=WIDE,
            accuracy=WIDE,
            sensitivity=WIDE,
            specificity=WIDE,
            f1=WIDE,
        )
        for subject in ("fused", "resnet50")
    ]
    print_figures(rows, "624 test films")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("624 test films")
    for subject in ("fused", "resnet50"):
        (line,) = [line for line in lines if subject in line]
        assert line.count("0.123 (0.103-0.988)") == 5
        assert "screening > 0.250" in line
        assert "float32" in line


def test_the_figures_of_a_view_name_it(capsys: pytest.CaptureFixture[str]) -> None:
    row = Figures(
        subject="fused",
        precision="int8",
        split="elsewhere/view/AP",
        operating_point="paper",
        threshold=0.5,
        n=9,
        auc=WIDE,
        accuracy=WIDE,
        sensitivity=WIDE,
        specificity=WIDE,
        f1=WIDE,
    )
    print_figures([row], "9 films")
    assert "fused, view AP" in capsys.readouterr().out


def test_a_fusion_is_told_as_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    fusion = Fusion(
        weights={"vgg16": 0.55, "vgg19": -0.25, "resnet50": 0.3, "xception": 0.01},
        bias=-0.02,
        operating_points={"paper": 0.5, "screening": 0.31},
        films=1,
        folds=["0"],
        out_of_fold=[],
    )
    print_fusion(fusion)
    formula, *points = capsys.readouterr().out.splitlines()
    assert formula == (
        "y = 0.5500 vgg16 - 0.2500 vgg19 + 0.3000 resnet50 + 0.0100 xception - 0.0200"
    )
    assert points == ["paper: pneumonia where y > 0.5000", "screening: pneumonia where y > 0.3100"]
