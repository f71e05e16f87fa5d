"""What the fusion was fitted on, for the bundle: the members' held-out probabilities, by number alone."""

from __future__ import annotations

import io

import numpy as np

from train.fuse import join, out_of_fold
from train.run import Run


def held_out(run: Run) -> bytes:
    """A .npz of `probabilities` float32 (n, 4), in the order of x1 to x4, and `labels` uint8 (n,).

    The runtime searches the order of its members on them. No file name and no patient goes along.

    Raises:
        RecipeError: a member's predictions are missing.
    """
    probabilities, labels, _ = join(out_of_fold(run)[0])
    content = io.BytesIO()
    np.savez_compressed(
        content, probabilities=probabilities.astype(np.float32), labels=labels.astype(np.uint8)
    )
    return content.getvalue()
