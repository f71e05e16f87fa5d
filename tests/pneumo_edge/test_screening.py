"""From a source to a finding or a refusal."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from pneumo_edge.bundle import load_bundle
from pneumo_edge.engines import choose
from pneumo_edge.ensemble import Ensemble
from pneumo_edge.errors import BadRadiographError, BundleError
from pneumo_edge.manifest import Band, Indeterminate
from pneumo_edge.screening import Screener
from pneumo_edge.sources import Source
from pneumo_edge.types import Finding, Interval, Refusal


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble(load_bundle(), choose("auto"), 1)


def test_a_film_gets_a_finding_at_its_operating_point(ensemble: Ensemble, film: Path) -> None:
    for point, threshold in ensemble.bundle.manifest.operating_points.items():
        found = Screener(ensemble, point).screen(Source(str(film)))
        assert (found.operating_point, found.threshold) == (point, threshold)
        assert found.y is not None
        assert (found.label == "pneumonia") == (found.y > threshold)
        assert found.ms.total >= found.ms.infer > 0


def test_a_finding_says_what_the_bundle_states_of_its_band(film: Path) -> None:
    shipped = load_bundle()
    bands = {"paper": Band(low=-9.0, high=9.0), "screening": Band(low=-9.0, high=-8.0)}
    stated = Indeterminate(error_rate=0.02, films={}, bands=bands)
    manifest = msgspec.structs.replace(shipped.manifest, indeterminate=stated)
    bundle = dataclasses.replace(shipped, manifest=manifest)
    ensemble = Ensemble(bundle, choose("auto"), 1)
    for early_exit in (False, True):
        told = {
            point: Screener(ensemble, point, early_exit).screen(Source(str(film)))
            for point in manifest.operating_points
        }
        assert told["paper"].indeterminate is True
        assert told["paper"].band == Interval(-9.0, 9.0)
        assert told["screening"].indeterminate is False
        assert (told["balanced"].indeterminate, told["balanced"].band) == (None, None)


def test_what_is_no_film_is_refused_and_the_next_is_not(ensemble: Ensemble, film: Path) -> None:
    screener = Screener(ensemble, "paper")
    bad = Source(str(film.with_name("missing.png")))
    refusal = screener.outcome(bad)
    assert isinstance(refusal, Refusal)
    assert "missing.png does not exist" in refusal.what
    with pytest.raises(BadRadiographError):
        screener.screen(bad)
    assert isinstance(screener.outcome(Source(str(film))), Finding)


def test_a_failing_bundle_is_not_taken_for_a_bad_film(ensemble: Ensemble, film: Path) -> None:
    with pytest.raises(BundleError, match="no operating point"):
        Screener(ensemble, "lucky").outcome(Source(str(film)))
