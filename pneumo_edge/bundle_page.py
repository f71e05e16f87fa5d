"""A bundle's manifest as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pneumo_edge.bundle import Bundle
from pneumo_edge.manifest import Figures, Manifest, Measure, ParityRow
from pneumo_edge.render import NOTICE


def page(bundle: Bundle) -> str:
    """Members, fusion, operating points, measured figures and provenance."""
    manifest = bundle.manifest
    points = ", ".join(f"{name} {value:.3f}" for name, value in manifest.operating_points.items())
    lines = [
        f"bundle {manifest.id}, made {manifest.created}, schema {manifest.schema}",
        f"  at {bundle.path}",
        "",
        *_table(
            ("member", "weight", "scheme", "file"),
            [(m.name, f"{m.weight:+.4f}", m.scheme, m.file) for m in manifest.members],
        ),
        "",
        f"  fusion       y = sum of weight x probability {manifest.bias:+.4f}",
        f"  thresholds   {points}",
        f"  order        {', '.join(manifest.evaluation_order)}",
    ]
    if manifest.figures:
        lines += ["", "figures, with 95 % intervals", *_figures(manifest.figures)]
    lines += _bands(manifest)
    lines += ["", *_gate(manifest)]
    if manifest.parity:
        lines += ["", "int8 against float32, same tensors", *_parity(manifest.parity)]
    if manifest.provenance:
        lines += ["", *(f"  {key}: {value}" for key, value in manifest.provenance.items())]
    return "\n".join([*lines, "", NOTICE])


def _figures(figures: Sequence[Figures]) -> Iterator[str]:
    facts_head = ("subject", "precision", "split", "n", "threshold")
    measures_head = ("AUC", "accuracy", "sensitivity", "specificity", "F1")
    rows: list[tuple[str, ...]] = []
    for row in figures:
        measures = (row.auc, row.accuracy, row.sensitivity, row.specificity, row.f1)
        threshold = f"{row.operating_point} {row.threshold:.3f}"
        facts = (row.subject, row.precision, row.split, str(row.n), threshold)
        rows.append((*facts, *(_measure(measure) for measure in measures)))
    return _table((*facts_head, *measures_head), rows)


def _measure(measure: Measure) -> str:
    return f"{measure.value:.3f} ({measure.low:.3f}-{measure.high:.3f})"


def _bands(manifest: Manifest) -> Iterator[str]:
    """Where y is indeterminate, and what that holds and leaves."""
    stated = manifest.indeterminate
    yield ""
    if stated is None:
        yield "no indeterminate bands: this bundle states none"
        return
    sets = ", ".join(f"{count} {name}" for name, count in stated.films.items())
    yield f"indeterminate bands, for at most {stated.error_rate:.1%} wrong labels of either class outside; on {sets}"
    yield from (f"  {line}" for line in _ranges(manifest))
    head = (
        "band",
        "precision",
        "split",
        "n",
        "in the band",
        "wrong outside",
        "normal",
        "pneumonia",
    )
    rows = [
        (
            row.operating_point,
            row.precision,
            row.split,
            str(row.n),
            *(_measure(m) for m in (row.inside, row.error, row.error_normal, row.error_pneumonia)),
        )
        for row in manifest.band_figures
    ]
    yield from _table(head, rows) if rows else ()


def _ranges(manifest: Manifest) -> Iterator[str]:
    bands = manifest.indeterminate.bands if manifest.indeterminate is not None else {}
    for name in manifest.operating_points:
        band = bands.get(name)
        yield f"{name:<12} " + (
            f"{band.low:.3f} to {band.high:.3f}" if band is not None else "none: too few films"
        )


def _gate(manifest: Manifest) -> Iterator[str]:
    """What the gate was fitted on, and how it did."""
    gate = manifest.gate
    if gate is None:
        yield "gate: no statistics in this bundle, so only size, shape, colour and contrast are looked at"
        return
    fitted = ", ".join(f"{count} {name}" for name, count in gate.films.items())
    yield f"gate, by the features of {gate.member}; fitted on {fitted}"
    head = ("upright films", "n", "refused", "unlike", "taken for turned", "corrected")
    rows = [
        tuple(map(str, (r.name, r.n, r.refused, r.distant, r.turned, r.corrected)))
        for r in gate.rows
    ]
    yield from _table(head, rows)


def _parity(parity: Sequence[ParityRow]) -> Iterator[str]:
    head = ("subject", "n", "mean |dp|", "worst |dp|", "AUC float32", "AUC int8", "flips")
    rows = [
        (
            row.subject,
            str(row.n),
            f"{row.mean_abs_dp:.4f}",
            f"{row.worst_abs_dp:.4f}",
            f"{row.auc_float:.4f}",
            f"{row.auc_int8:.4f}",
            ", ".join(f"{name} {count}" for name, count in row.flips.items()),
        )
        for row in parity
    ]
    return _table(head, rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns as wide as their longest cell, so that a pipe gets the whole of each."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()
