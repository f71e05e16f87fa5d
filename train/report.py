"""Figures on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from pneumo_edge.manifest import BandFigures, Figures, Measure
from train.card import formula
from train.metrics import MEASURES
from train.run import Fusion
from train.table_console import table_console


def _cell(measure: Measure) -> str:
    return f"{measure.value:.3f} ({measure.low:.3f}-{measure.high:.3f})"


def print_figures(rows: Sequence[Figures], title: str) -> None:
    """A table with a row per model and operating point; 95 % intervals in brackets."""
    table = Table(title=title, title_justify="left")
    for heading in ("model", "precision", "operating point", *MEASURES):
        table.add_column(heading)
    for row in rows:
        point = f"{row.operating_point} > {row.threshold:.3f}"
        group = row.split.partition("/")[2].replace("/", " ")  # view AP
        model = f"{row.subject}, {group}" if group else row.subject
        table.add_row(model, row.precision, point, *(_cell(getattr(row, m)) for m in MEASURES))
    table_console().print(table)


def print_bands(rows: Sequence[BandFigures]) -> None:
    """What the indeterminate bands hold and leave, a row per split and operating point; nothing without rows."""
    if not rows:
        return
    table = Table(title="indeterminate bands", title_justify="left")
    for heading in (
        "films",
        "precision",
        "operating point",
        "n",
        "in the band",
        "wrong outside",
        "of the normal",
        "of pneumonia",
    ):
        table.add_column(heading)
    for row in rows:
        shares = (row.inside, row.error, row.error_normal, row.error_pneumonia)
        facts = (row.split, row.precision, row.operating_point, str(row.n))
        table.add_row(*facts, *(_cell(share) for share in shares))
    table_console().print(table)


def print_fusion(fusion: Fusion) -> None:
    """The fusion as a formula, and its operating points."""
    console = table_console()
    console.print(formula(fusion.weights, fusion.bias))
    for name, threshold in fusion.operating_points.items():
        console.print(f"{name}: pneumonia where y > {threshold:.4f}")
