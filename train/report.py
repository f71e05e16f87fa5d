"""Figures on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pneumo_edge.manifest import Figures, Measure
from train.card import formula
from train.metrics import MEASURES
from train.run import Fusion


def _cell(measure: Measure) -> str:
    return f"{measure.value:.3f} ({measure.low:.3f}-{measure.high:.3f})"


def print_figures(rows: Sequence[Figures], title: str) -> None:
    """A table with a row per model and operating point; 95 % intervals in brackets."""
    table = Table(title=title, title_justify="left")
    for heading in ("model", "precision", "operating point", *MEASURES):
        table.add_column(heading)
    for row in rows:
        point = f"{row.operating_point} > {row.threshold:.3f}"
        table.add_row(
            row.subject, row.precision, point, *(_cell(getattr(row, m)) for m in MEASURES)
        )
    _console().print(table)


def _console() -> Console:
    """A program that reads a pipe gets whole rows, not rows that are folded at 80 columns."""
    return Console(width=None if Console().is_terminal else 200)


def print_fusion(fusion: Fusion) -> None:
    """The fusion as a formula, and its operating points."""
    console = _console()
    console.print(formula(fusion.weights, fusion.bias))
    for name, threshold in fusion.operating_points.items():
        console.print(f"{name}: pneumonia where y > {threshold:.4f}")
