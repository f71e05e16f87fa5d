"""A manifest with figures, as a page."""

from __future__ import annotations

import msgspec

from pneumo_edge.bundle import load_bundle
from pneumo_edge.bundle_page import page
from pneumo_edge.manifest import Band, BandFigures, Figures, Indeterminate, Measure, ParityRow


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


def test_bands_are_told_with_what_they_hold_and_leave() -> None:
    inside, error, normal, ill = (
        Measure(value=value, low=value / 2, high=value * 2) for value in (0.1, 0.02, 0.04, 0.01)
    )
    row = BandFigures(
        precision="int8",
        split="official test",
        operating_point="paper",
        n=624,
        inside=inside,
        error=error,
        error_normal=normal,
        error_pneumonia=ill,
    )
    stated = Indeterminate(
        error_rate=0.02, films={"held-out": 654}, bands={"paper": Band(low=0.26, high=0.71)}
    )
    bundle = load_bundle()
    manifest = msgspec.structs.replace(bundle.manifest, indeterminate=stated, band_figures=[row])
    lines = page(type(bundle)(bundle.path, manifest, bundle.prefix)).splitlines()
    (told,) = [line for line in lines if "official test" in line]
    cells = "0.100 (0.050-0.200)  0.020 (0.010-0.040)  0.040 (0.020-0.080)  0.010 (0.005-0.020)"
    assert told.endswith(cells)
    assert "  paper        0.260 to 0.710" in lines
    assert "  balanced     none: too few films" in lines
    assert any("2.0% wrong labels" in line and "654 held-out" in line for line in lines)
    lacking = msgspec.structs.replace(manifest, indeterminate=None, band_figures=[])
    text = page(type(bundle)(bundle.path, lacking, bundle.prefix))
    assert "this bundle states none" in text
