"""Bands around the operating points in which y is indeterminate: chosen on held-out films, measured on any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pneumo_edge.manifest import Band, BandFigures
from train.metrics import RESAMPLES, SEED, Scored, measure, patient_resamples


def choose_band(sets: Sequence[Scored], threshold: float, error_rate: float) -> Band | None:
    """The narrowest band around a threshold outside which neither class is wrong too often.

    Of the m films of a class that lie outside the band, the k with a wrong label have to satisfy
    (k + 1) / (m + 1) <= error_rate, in every set. That bounds the rate to be expected of films to come, not
    only the one that was counted. Since it holds for each class, it holds for any prevalence.

    Widening one end leaves fewer films outside and so asks more of the other end, never less. Widening each as
    far as it must be, in turn, therefore ends at a band that lies in every other one that would do.

    Args:
        sets: Films that the members were not trained on, as they are and as others would have shown them. y is
            pneumonia where above the threshold.
        threshold: Of the operating point.
        error_rate: Above 0, below 1.

    Returns:
        The band, both ends included and the threshold in it; None where a class has too few films outside any band.

    Source: the bound is that of split conformal prediction, class by class, (k + 1) / (n + 1) for a new exchangeable
    film (Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005, 2.2 and 4.5), taken over the
    films that are answered, as in selective classification (Geifman, El-Yaniv, NeurIPS 2017).
    """
    low = high = threshold
    classes = [
        (np.sort(films.scores[films.labels == 1]), np.sort(films.scores[films.labels == 0]))
        for films in sets
    ]
    while True:
        before = low, high
        for ill, well in classes:
            bottom = _end(ill, int((ill > high).sum()), error_rate)
            top = _end(-well[::-1], int((well < low).sum()), error_rate)
            if bottom is None or top is None:
                return None
            low, high = min(low, bottom), max(high, -top)
        if (low, high) == before:
            return Band(low=float(low), high=float(high))


def _end(scores: NDArray[np.float64], right: int, error_rate: float) -> float | None:
    """The highest low end of the band for one class whose wrong labels lie below it.

    Args:
        scores: (n,) of that class, ascending.
        right: How many lie outside with the right label.
        error_rate: See `choose_band`.

    Returns:
        None where not even a single film with a wrong label, yet to come, would be allowed.
    """
    # (k + 1) / (k + right + 1) <= rate, solved for k; the last term is for the float arithmetic.
    allowed = math.floor((error_rate * (right + 1) - 1) / (1 - error_rate) + 1e-9)
    if allowed < 0:
        return None
    return float(scores[allowed]) if allowed < len(scores) else math.inf


def band_figures(
    scored: Scored,
    precision: str,
    split: str,
    thresholds: Mapping[str, float],
    bands: Mapping[str, Band],
) -> list[BandFigures]:
    """What each band holds and leaves, with 95 % intervals: percentile bootstrap over patients.

    A rate of which there is no film, since none lies outside, is 0.
    """
    whole = np.ones((1, len(scored.labels)))
    draws = patient_resamples(scored, RESAMPLES, SEED)
    rows = []
    for point, band in bands.items():
        inside = (scored.scores >= band.low) & (scored.scores <= band.high)
        wrong = (scored.scores > thresholds[point]) != (scored.labels == 1)
        everything = np.ones_like(inside)
        parts = {
            "inside": (inside, everything),
            "error": (wrong & ~inside, ~inside),
            "error_normal": (
                wrong & ~inside & (scored.labels == 0),
                ~inside & (scored.labels == 0),
            ),
            "error_pneumonia": (
                wrong & ~inside & (scored.labels == 1),
                ~inside & (scored.labels == 1),
            ),
        }
        found = {
            name: measure(_share(part, of, whole), _share(part, of, draws))
            for name, (part, of) in parts.items()
        }
        rows.append(
            BandFigures(
                precision=precision,
                split=split,
                operating_point=point,
                n=len(scored.labels),
                **found,
            )
        )
    return rows


def _share(
    part: NDArray[np.bool_], of: NDArray[np.bool_], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(draws,) weight of the films in `part` (n,) over that of those in `of` (n,), which holds them all."""
    total = weights @ of.astype(np.float64)
    return np.asarray(weights @ part.astype(np.float64) / np.maximum(total, 1.0))
