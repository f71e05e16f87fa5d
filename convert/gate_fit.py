"""Fitting the gate: what training films look like, how they lie, and how far from them is too far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh

from convert.gate_draws import crop_draws, cropped, pose_draws
from convert.gate_films import Source
from convert.perceptron import Draw, fit_perceptron
from pneumo_edge.gate.distance import Subspace, pooled
from pneumo_edge.gate.perceptron import Perceptron, thumbnails
from pneumo_edge.gate.pose import POSES, Pose, seen
from pneumo_edge.gate.signals import SPREAD, measure
from pneumo_edge.gate.statistics import Statistics
from pneumo_edge.manifest import GateFigures, GateRow
from pneumo_edge.types import InputTensor

DIRECTIONS = 32
"""Of the subspace."""
REFUSED, WARNED = 0.006, 0.05
"""Share of the held-out films of the source that is hardest that may be refused, and warned of."""
HIDDEN = {"pose": 64, "crop": 32}
ROUNDS = {"pose": 8, "crop": 4}
NOTICE = 0.5
CORRECT = 0.99
"""Probability of a pose from which it is set right, at least."""
CORRECTED = 0.001
"""Share of held-out labelled films that may be set right: they all lie upright."""
MIRRORED, CROPPED = 0.005, 0.01
"""Share of held-out films, of the hardest source, that may be told to be mirrored, and cropped."""
BOUNDS = 0.001
"""Share of films beyond each bound of a cheap measure, before it is widened by half of the range."""

Features = Callable[[InputTensor], NDArray[np.float32]]
Progress = Callable[[str, int], Callable[[int], None]]


def fit_gate(
    sources: Sequence[Source], member: str, features: Features, seed: int, progress: Progress
) -> tuple[Statistics, dict[str, int]]:
    """Fit everything that `gate.npz` holds.

    Args:
        sources: The first one is of labelled films, which are known to lie upright.
        member: Whose features are watched.
        features: That member's int8 backbone, with what comes before it.
        seed: Of the draws.
        progress: See `convert.conversion`.

    Returns:
        The statistics, and how many films of each source they were fitted on.
    """
    films = np.concatenate([source.fit for source in sources])
    pose = _classifier(films, "pose", seed, progress)
    # Films without labels hold some that were inverted or turned by mistake.
    fit = [_upright(source.fit, pose) for source in sources]
    out = [_upright(source.held_out, pose) for source in sources]
    crop = _classifier(np.concatenate(fit), "crop", seed, progress)
    step = progress(f"features of {member} for the gate", sum(map(len, [*fit, *out])))
    fitted = [pooled_features(rows, features, step) for rows in fit]
    subspace = _subspace(fitted)
    residuals = [subspace.residual(pooled_features(rows, features, step)) for rows in out]
    found = {
        k: [_probabilities(net, rows) for rows in out] for k, net in (("p", pose), ("c", crop))
    }
    mirrored = [np.array([seen(row).mirrored for row in rows]) for rows in found["p"]]
    labelled = 1 - _probabilities(pose, sources[0].held_out)[:, :2].sum(1)
    statistics = Statistics(
        member=member,
        subspace=subspace,
        warn_at=_hardest(residuals, WARNED),
        refuse_at=_hardest(residuals, REFUSED),
        bounds=_bounds(np.concatenate(fit)),
        pose=pose,
        notice_at=NOTICE,
        correct_at=max(CORRECT, float(np.quantile(labelled, 1 - CORRECTED))),
        mirror_at=max(NOTICE, _hardest(mirrored, MIRRORED)),
        crop=crop,
        crop_at=max(NOTICE, _hardest([rows[:, 1] for rows in found["c"]], CROPPED)),
    )
    return statistics, {s.name: len(rows) for s, rows in zip(sources, fit, strict=True)}


def _classifier(films: NDArray[np.uint8], name: str, seed: int, progress: Progress) -> Perceptron:
    rounds = ROUNDS[name]
    step = progress(f"fitting the gate's {name}", rounds)
    draws = (pose_draws if name == "pose" else crop_draws)(films, rounds, seed)

    def counted() -> Iterator[Draw]:
        for draw in draws:
            yield draw
            step(1)

    return fit_perceptron(counted(), rounds, HIDDEN[name], POSES if name == "pose" else 2, seed)


def _upright(films: NDArray[np.uint8], pose: Perceptron) -> NDArray[np.uint8]:
    kept: NDArray[np.uint8] = films[_probabilities(pose, films)[:, :2].sum(1) > 1 - CORRECT]
    return kept


def _probabilities(net: Perceptron, films: NDArray[np.uint8]) -> NDArray[np.float32]:
    return net.probabilities(thumbnails(films))


def pooled_features(
    films: NDArray[np.uint8], features: Features, step: Callable[[int], None]
) -> NDArray[np.float32]:
    """(n, channels) of (n, 150, 150, 1)."""
    rows = []
    for film in films:
        rows.append(pooled(features(InputTensor(film[None]))))
        step(1)
    return np.stack(rows)


def _subspace(sources: Sequence[NDArray[np.float32]]) -> Subspace:
    """Every source counts alike, whatever the number of its films."""
    mean = np.mean([rows.mean(0) for rows in sources], 0)
    variance = np.mean([((rows - mean) ** 2).mean(0) for rows in sources], 0)
    # A channel that training films never move must not decide by its noise.
    scale = np.sqrt(variance) + 0.3 * np.sqrt(variance.mean() + mean.var()) + 1e-6
    share = [(rows - mean) / scale / np.sqrt(len(rows) * len(sources)) for rows in sources]
    stacked = np.concatenate(share)
    covariance = stacked.T @ stacked
    count = max(1, min(DIRECTIONS, len(covariance) // 4, len(stacked) // 2))
    _, basis = eigsh(covariance, count, v0=np.ones(len(covariance)))
    # As it will be read back, so that thresholds and films meet the same numbers.
    basis = basis.astype(np.float16)
    whole = Subspace(mean.astype(np.float32), scale.astype(np.float32), basis, 1.0)
    unit = float(np.mean([whole.residual(rows).mean() for rows in sources]))
    return Subspace(whole.mean, whole.scale, basis, max(unit, 1e-12))


def _hardest(sources: Sequence[NDArray[np.floating]], share: float) -> float:
    """What no more than that share of any source lies above."""
    return max(float(np.quantile(rows, 1 - share)) for rows in sources if len(rows))


def _bounds(films: NDArray[np.uint8]) -> NDArray[np.float64]:
    low, high = np.quantile(measure(films), (BOUNDS, 1 - BOUNDS), axis=0)
    bounds = np.stack([low - (high - low) / 2, high + (high - low) / 2], 1)
    bounds[0] = SPREAD, 256  # a contrast cannot be too strong
    return np.asarray(np.maximum(bounds, 0), np.float64)


def examine(
    statistics: Statistics,
    name: str,
    films: NDArray[np.uint8],
    features: Features,
    step: Callable[[int], None],
) -> GateRow:
    """What the gate says of prepared films that it was not fitted on, as they are.

    Colour, size and shape are those of files, and not looked at here.
    """
    rows = _probabilities(statistics.pose, films)
    upright = rows[:, :2].sum(1)
    residual = statistics.subspace.residual(pooled_features(films, features, step))
    measures = measure(films)
    beyond = ((measures < statistics.bounds[:, 0]) | (measures > statistics.bounds[:, 1])).any(1)
    refused = beyond | (residual > statistics.refuse_at)
    noticed = rows.reshape(len(rows), POSES // 2, 2).sum(2).argmax(1) > 0
    noticed &= rows.reshape(len(rows), POSES // 2, 2).sum(2).max(1) >= statistics.notice_at
    return GateRow(
        name=name,
        n=len(films),
        refused=int(refused.sum()),
        distant=int((~refused & (residual > statistics.warn_at)).sum()),
        turned=int(noticed.sum()),
        corrected=int(((1 - upright >= statistics.correct_at) & noticed).sum()),
    )


def noticed_poses(statistics: Statistics, films: NDArray[np.uint8], seed: int) -> dict[str, float]:
    """Share of films, laid otherwise or cropped, of which the gate notices it."""
    small = thumbnails(films)
    found: dict[str, float] = {}
    for name, pose in NAMED.items():
        rows = statistics.pose.probabilities(pose.apply(small))
        told = [seen(row) for row in rows]
        if pose.mirrored:
            right = [t.pose == Pose() and t.mirrored >= statistics.mirror_at for t in told]
        else:
            right = [t.pose == pose and t.probability >= statistics.notice_at for t in told]
        found[name] = float(np.mean(right))
    rng = np.random.default_rng(seed)
    cut = np.concatenate([thumbnails(cropped(film, rng)[None]) for film in films])
    found["cropped"] = float(
        np.mean(statistics.crop.probabilities(cut)[:, 1] >= statistics.crop_at)
    )
    return found


NAMED = {
    "rotated by 90 degrees": Pose(1),
    "rotated by 180 degrees": Pose(2),
    "rotated by 270 degrees": Pose(3),
    "inverted": Pose(0, True),
    "mirrored": Pose(0, False, True),
}
"""What is noticed of it is measured, film by film."""


def figures(
    statistics: Statistics,
    fitted: dict[str, int],
    held_out: dict[str, NDArray[np.uint8]],
    features: Features,
    seed: int,
    progress: Progress,
) -> GateFigures:
    """What the manifest tells of the gate: on held-out films, and on others that had no part in it."""
    step = progress("measuring the gate", sum(map(len, held_out.values())))
    rows = [examine(statistics, name, films, features, step) for name, films in held_out.items()]
    return GateFigures(
        member=statistics.member,
        films=fitted,
        rows=rows,
        noticed={name: noticed_poses(statistics, films, seed) for name, films in held_out.items()},
    )
