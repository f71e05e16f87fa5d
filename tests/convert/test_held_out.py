from __future__ import annotations

import io

import numpy as np

from convert.held_out import held_out
from pneumo_edge.manifest import MEMBER_NAMES
from train.run import Predictions, Run


def test_the_bundle_gets_the_members_own_probabilities_and_no_names(run: Run) -> None:
    content = held_out(run)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        assert set(arrays) == {"probabilities", "labels"}
        probabilities, labels = arrays["probabilities"], arrays["labels"]
    assert probabilities.dtype == np.float32
    assert labels.dtype == np.uint8
    for column, name in zip(probabilities.T, MEMBER_NAMES, strict=True):
        kept = run.read(f"{name}/fold-0/held_out.json", Predictions)
        np.testing.assert_allclose(column, kept.probabilities, rtol=1e-6)
        assert labels.tolist() == kept.labels
        assert not any(film.encode() in content for film in kept.films)


def test_the_same_run_gives_the_same_bytes(run: Run) -> None:
    assert held_out(run) == held_out(run)
