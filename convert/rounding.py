"""Rounding of a layer's weights such that the errors of one cancel those of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg.blas
import scipy.linalg.lapack
from numpy.typing import NDArray

LEVELS = 127
"""The largest int8 level of a weight; -128 is not used."""

DAMPING = 0.05
"""Of the mean variance, added to each: directions that few films show are not trusted."""

REFIT_DAMPING = 0.3
"""The same where weights are refitted: what a few hundred films have in common by chance must not be learnt."""

BLOCK = 128
"""Columns after which the errors are carried on to all columns that follow."""


def scales(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(rows,): the step of each row, such that its largest weight is the largest level."""
    largest = np.abs(weights).max(axis=1)
    return np.asarray(np.where(largest > 0, largest, 1) / LEVELS, np.float32)


def nearest(weights: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each weight's nearest level, as a whole float."""
    return np.asarray(np.rint(weights / steps[:, None]).clip(-LEVELS, LEVELS), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What is known of a layer's inputs: how they go together."""

    order: NDArray[np.int64]
    """(in,): by falling variance."""
    factor: NDArray[np.float32]
    """(in, in), upper triangular: U with U'U the inverse of the damped covariance, in that order."""


def joint_spread(centred: NDArray[np.float32]) -> NDArray[np.float32]:
    """The upper triangle of the covariance, times n, of (n, in) inputs whose mean was taken off."""
    return np.asarray(scipy.linalg.blas.ssyrk(1.0, centred.T, lower=0))


def study(covariance: NDArray[np.float32], damping: float) -> Inputs:
    """Factor a covariance.

    Args:
        covariance: From `joint_spread`.
        damping: DAMPING or REFIT_DAMPING.
    """
    variance = np.diag(covariance)
    order = np.argsort(-variance, kind="stable")
    covariance = covariance + np.triu(covariance, 1).T
    damped = covariance[np.ix_(order, order)]
    damped[np.diag_indices_from(damped)] += damping * variance.mean() + np.finfo(np.float32).tiny
    # With J the exchange matrix and J C J = L L', C = (J L J)(J L J)', and J L J is upper triangular.
    lower = scipy.linalg.cholesky(damped[::-1, ::-1], lower=True, check_finite=False)
    inverse, _ = scipy.linalg.lapack.strtri(lower[::-1, ::-1], lower=0)
    return Inputs(order, np.triu(inverse))


def refit(
    weights: NDArray[np.float32],
    inputs: Inputs,
    lost: NDArray[np.float32],
    centred: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The weights that do on rounded inputs what the trained ones do on exact ones.

    Ridge regression towards the trained weights.

    Args:
        weights: (out, in).
        inputs: Of `centred`, damped by REFIT_DAMPING.
        lost: (n, in): the exact inputs less the rounded ones, centred.
        centred: (n, in): the rounded inputs.

    Source: Y. Li et al., "GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric Calibration",
    2025; here in closed form before the rounding.
    """
    joint = ((weights @ lost.T) @ centred)[:, inputs.order]
    change = np.empty_like(weights)
    change[:, inputs.order] = (joint @ inputs.factor.T) @ inputs.factor
    return weights + change


def round_weights(
    weights: NDArray[np.float32], steps: NDArray[np.float32], inputs: Inputs
) -> NDArray[np.float32]:
    """Round column by column, and let the columns not yet rounded make good what each lost.

    Rounding each weight to its nearest level is best only if the inputs are independent. They are not:
    here each column's error is carried over to those columns with which its input goes together.

    Args:
        weights: (out, in), real values.
        steps: (out,): one level of each row, in real units.
        inputs: From `study`, damped by DAMPING.

    Returns:
        (out, in) whole levels in [-127, 127], as float32.

    Source: E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
    Transformers", 2023, algorithm 1, in the order of falling variance.
    """
    upper, left = inputs.factor, weights[:, inputs.order]
    levels = np.empty_like(left)
    for start in range(0, left.shape[1], BLOCK):
        stop = min(start + BLOCK, left.shape[1])
        errors = np.empty((len(left), stop - start), np.float32)
        for j in range(start, stop):
            levels[:, j] = nearest(left[:, j : j + 1], steps)[:, 0]
            error = (left[:, j] - levels[:, j] * steps) / upper[j, j]
            left[:, j:stop] -= error[:, None] * upper[j, j:stop]
            errors[:, j - start] = error
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    back = np.empty_like(levels)
    back[:, inputs.order] = levels
    return back
