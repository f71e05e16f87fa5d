"""A manifest with figures, as a page."""

from __future__ import annotations

import msgspec

from pneumo_edge.bundle import load_bundle
from pneumo_edge.bundle_page import page
from pneumo_edge.manifest import Figures, Measure, ParityRow


def test_figures_and_parity_are_told_with_their_intervals() -> None:
    measure = Measure(value=0.912, low=0.89, high=0.934)
    figures = Figures(
        subject="fused",
        precision="int8",
        split="official test",
        operating_point="balanced",
        threshold=0.61,
        n=624,
        auc=measure,
        accuracy=measure,
        sensitivity=measure,
        specificity=measure,
        f1=measure,
    )
    row = ParityRow(
        subject="vgg16",
        n=624,
        mean_abs_dp=0.0012,
        worst_abs_dp=0.034,
        auc_float=0.97,
        auc_int8=0.969,
        flips={"paper": 2},
    )
    bundle = load_bundle()
    manifest = msgspec.structs.replace(bundle.manifest, figures=[figures], parity=[row])
    text = page(type(bundle)(bundle.path, manifest, bundle.prefix))
    lines = text.splitlines()
    (told,) = [line for line in lines if line.startswith("  fused")]
    assert told.count("0.912 (0.890-0.934)") == 5
    assert "balanced 0.610" in told
    (told,) = [line for line in lines if line.startswith("  vgg16") and "paper 2" in line]
    assert "0.0012" in told
    assert "0.0340" in told
