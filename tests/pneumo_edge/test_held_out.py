"""What a bundle carries of the films that its fusion was fitted on."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable

import numpy as np
import pytest

from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.errors import BundleError
from pneumo_edge.held_out import FILE, read_held_out

BundleWith = Callable[[dict[str, bytes]], Bundle]


def stored(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **{name: np.asarray(item) for name, item in arrays.items()})
    return out.getvalue()


GOOD = np.array([[0, 0.25, 0.5, 1], [1, 0, 1, 0]], np.float32)


def test_it_is_read_in_the_manifests_order(bundle_with: BundleWith) -> None:
    found = read_held_out(bundle_with({FILE: stored(probabilities=GOOD, labels=[0, 1])}))
    assert found is not None
    np.testing.assert_array_equal(found.probabilities, GOOD)
    assert found.labels.tolist() == [0, 1]


def test_a_bundle_without_it_is_as_good() -> None:
    bundle = load_bundle()
    if FILE in bundle.manifest.files:
        pytest.skip("the bundle that ships has one")
    assert read_held_out(bundle) is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"not a zip", "cannot be read"),
        (stored(probabilities=GOOD), "cannot be read"),
        (stored(probabilities=GOOD, labels=[0]), "has (2, 4) probabilities where (1, 4) belong"),
        (stored(probabilities=GOOD[:, :3], labels=[0, 1]), "(2, 3) probabilities"),
        (stored(probabilities=GOOD[:0], labels=[]), "(0, 4) probabilities"),
        (stored(probabilities=GOOD + 0.1, labels=[0, 1]), "outside 0 to 1"),
        (stored(probabilities=GOOD * np.nan, labels=[0, 1]), "outside 0 to 1"),
        (pickle.dumps({"probabilities": GOOD}), "cannot be read"),
    ],
)
def test_what_is_none_is_refused(bundle_with: BundleWith, data: bytes, says: str) -> None:
    with pytest.raises(BundleError) as err:
        read_held_out(bundle_with({FILE: data}))
    assert says in err.value.what
    assert FILE in err.value.what
