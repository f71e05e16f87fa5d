"""What `gate.npz` holds comes back, and what is none is refused."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.errors import BundleError
from pneumo_edge.gate.statistics import FILE, Statistics, decode_statistics, read_statistics

Make = Callable[[dict[str, bytes]], Bundle]


def test_statistics_come_back_as_they_were(statistics: Statistics, bundle_with: Make) -> None:
    found = read_statistics(bundle_with({FILE: statistics.encode()}))
    assert found is not None
    assert (found.member, found.warn_at, found.refuse_at) == ("resnet50", 2.0, 4.0)
    thresholds = ("notice_at", "correct_at", "mirror_at", "crop_at")
    assert all(getattr(found, name) == getattr(statistics, name) for name in thresholds)
    np.testing.assert_array_equal(found.bounds, statistics.bounds)
    rows = np.random.default_rng(1).normal(size=(9, 8)).astype(np.float32)
    np.testing.assert_allclose(found.subspace.residual(rows), statistics.subspace.residual(rows))
    small = np.random.default_rng(2).uniform(0, 255, (5, 24, 24)).astype(np.float32)
    np.testing.assert_allclose(
        found.pose.probabilities(small), statistics.pose.probabilities(small), atol=0.02
    )


def altered(statistics: Statistics, **changes: object) -> bytes:
    with np.load(io.BytesIO(statistics.encode())) as arrays:
        kept = {name: arrays[name] for name in arrays.files} | changes
    content = io.BytesIO()
    np.savez_compressed(
        content, **{name: value for name, value in kept.items() if value is not None}
    )
    return content.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": None},
        {"basis": np.zeros((5, 2))},
        {"scale": np.zeros(8)},
        {"bounds": np.zeros((2, 2))},
        {"bounds": np.full((3, 2), np.nan)},
        {"thresholds": np.array([1.0, 5.0, 4.0, 0.5, 0.9, 0.9, 0.9])},
        {"thresholds": np.ones(3)},
        {"pose_first": np.zeros((10, 16))},
        {"crop_second": np.zeros((1, 3))},
        {"member": np.array("alexnet")},
        {"mean": np.array([object()] * 8)},
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    changes: dict[str, object], statistics: Statistics, bundle_with: Make
) -> None:
    bundle = bundle_with({FILE: altered(statistics, **changes)})
    with pytest.raises(BundleError, match=FILE):
        read_statistics(bundle)


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04", b"\0" * (2**22 + 1)])
def test_damaged_bytes_are_refused(data: bytes, bundle_with: Make) -> None:
    with pytest.raises(BundleError, match=FILE):
        read_statistics(bundle_with({FILE: data}))


def test_a_bundle_without_statistics_has_none(bundle_with: Make) -> None:
    bundle = bundle_with({})
    if FILE in load_bundle().manifest.files:
        pytest.skip("the bundle that ships has them")
    assert read_statistics(bundle) is None


def test_what_is_decoded_is_small(statistics: Statistics) -> None:
    assert len(statistics.encode()) < 400_000
    assert decode_statistics(statistics.encode()).member == "resnet50"
