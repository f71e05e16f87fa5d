"""Numbers of the report as a person reads them."""

from __future__ import annotations

from pneumo_edge.manifest import Measure
from train.comparison import Comparison
from train.page import Html
from train.summary import EnsembleSummary, SplitFacts


def percent(measure: Measure) -> str:
    """A share for a sentence: 85.7 % (83.0 to 88.6)."""
    return f"{100 * measure.value:.1f} % ({100 * measure.low:.1f} to {100 * measure.high:.1f})"


def percent_cell(measure: Measure) -> Html:
    """A share for a table whose caption gives the unit, with its interval in small type."""
    value, low, high = (f"{100 * x:.1f}" for x in (measure.value, measure.low, measure.high))
    return Html(f"{value} <small>({low} to {high})</small>")


def fraction(measure: Measure) -> str:
    """An AUC or the like for a sentence: 0.951 (0.932 to 0.968)."""
    return f"{measure.value:.3f} ({measure.low:.3f} to {measure.high:.3f})"


def fraction_cell(measure: Measure) -> Html:
    """An AUC or the like for a table."""
    return Html(f"{measure.value:.3f} <small>({measure.low:.3f} to {measure.high:.3f})</small>")


def p_value(p: float) -> str:
    """A p-value: none is zero."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.4f}"


def name_of(ensemble: EnsembleSummary) -> str:
    """How the report calls an ensemble."""
    return f"{ensemble.kind} {ensemble.title} ({ensemble.precision})"


def films(split: SplitFacts) -> str:
    """A split's films in a few words."""
    said = (
        f"{split.films} films of {split.patients} patients, {split.normal} normal and "
        f"{split.pneumonia} pneumonia"
    )
    return f"{said}; {split.skipped} unreadable files left out" if split.skipped else said


def verdict(row: Comparison) -> str:
    """A comparison as two sentences."""
    accuracy, auc = row.accuracy_difference, row.auc_difference
    luck = (
        "luck alone would seldom do that"
        if row.p_value < 0.05
        else "luck alone could do that, so no difference is shown"
    )
    return (
        f"Fusion against {row.other}, both read at 0.5, on the same {row.n} films: "
        f"{row.only_subject_right} films are named rightly by the fusion alone, {row.only_other_right} by "
        f"{row.other} alone (McNemar's exact test, {p_value(row.p_value)}: {luck}). The fusion less "
        f"{row.other}: accuracy "
        f"{100 * accuracy.value:+.1f} percentage points ({100 * accuracy.low:+.1f} to "
        f"{100 * accuracy.high:+.1f}), AUC {auc.value:+.3f} ({auc.low:+.3f} to {auc.high:+.3f})."
    )
