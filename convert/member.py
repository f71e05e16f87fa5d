"""One member's conversion: export, equalize, fit, and make finer or leave in float what int8 would lose."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.equalize import channel_ranges, equalize
from convert.export import FloatBackbone, export
from convert.finer import Copies, choose_finer, widen
from convert.geometry import grid
from convert.head import Classifier, correct_logit, fold_classifier, logits, rescale
from convert.network import Batch, read_network, walk
from convert.quantize import SCHEMES, Scheme, quantize, quantize_plainly
from convert.reconstruct import Reconstruction, input_range, reconstruct
from convert.representative import RepresentativeSet
from convert.sensitivity import Contribution, Noise, left_in_float, measure_noise, rank_layers
from pneumo_edge.engines import choose
from pneumo_edge.manifest import Grid, Struct
from pneumo_edge.types import SIDE
from train.recipe import MemberBudget

EQUALIZING = 32
"""Films on which the channels' ranges are measured before they are made alike."""

AT_ONCE = 64
"""Films whose exact features are computed side by side."""

MEMORY = 12e9
"""Bytes that the maps of all films may take that a member is fitted on."""

WALKS, SCRATCH = 2, 3
"""Every map is there in float and as int8 has it; of the one that is made, there are copies while it is worked on."""

RANKING = 8
"""Films on which a layer's contribution to the error is measured."""

SPREAD = 32
"""Films by which the spread of a tensor's contribution is measured: a few say less of a spread than of a mean."""

FINER_ROUNDS = 3
"""Of making more activations finer, each by what the one before has reached."""

FLOAT_ROUNDS = 5
"""Of leaving more layers in float, where that does not do: 1, 2, 4, 8, 16."""

MARGIN = 0.9
"""Part of the budget that finer activations are chosen to reach: what they reach is estimated."""

DEVIATIONS = 3.0
"""Standard deviations of the logit's error that are looked for in the worst of some hundred films."""

STEEPEST = 0.25
"""What an undecided film's probability moves by for each unit of its logit: p (1 - p) at p = 0.5."""

AGREEMENT = 4.0
"""Standard errors by which the two sets' mean |dp| may differ."""

SLACK = 5e-4
"""And what they may differ by whatever the spread: far below any budget."""


class Trial(Struct, frozen=True):
    """A member with some activations in copies, or some layers left in float."""

    finer: dict[str, int]
    """The tensors that are there in several copies, and in how many; see `finer`."""
    left_in_float: list[str]
    """The tensors whose making and reading stays in float, the worst layer's first."""
    mean_abs_dp: float
    """On the representative films that nothing was fitted on."""
    worst_abs_dp: float
    undecided_dp: float
    """What the same films' logits are off by would move a film with p = 0.5 by, at three standard deviations."""
    bytes: int


class MemberReport(Struct, frozen=True):
    """What quantization cost a member, on representative films."""

    name: str
    scheme: str
    fitted_films: int
    """How many ranges, weights and biases were fitted on: those of the set, or as many as memory holds."""
    fitted_mean_abs_dp: float
    """On those films."""
    check_mean_abs_dp: float
    """On others, of other patients."""
    check_worst_abs_dp: float
    stable: bool
    """Whether the two means agree within their spread: the fit does not hang on the films drawn."""
    trials: list[Trial]
    """What was tried, in turn; the last is what was packed."""
    ranking: list[tuple[str, float]]
    """The worst layers with the mean |d logit| that each adds by itself; empty within the budget."""


@dataclass(frozen=True, slots=True, eq=False)
class ConvertedMember:
    """A backbone and the classifier that goes with it."""

    tflite: bytes
    classifier: Classifier
    scheme: str
    """As the manifest names it."""
    report: MemberReport
    grid: Grid
    """Where the positions of its feature map lie."""


@dataclass(frozen=True, slots=True)
class MemberOptions:
    """How members are converted."""

    scheme: Scheme
    budget: MemberBudget
    """Above which activations are made finer, or layers left in float."""
    threads: int


@dataclass(frozen=True, slots=True, eq=False)
class _Films:
    """Normalised films, and the float member's logits of them."""

    pixels: NDArray[np.uint8]
    inputs: Batch
    exact: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """How far a quantized member is from the float one, film by film."""

    made: NDArray[np.float64]
    """(n,) logits in int8."""
    exact: NDArray[np.float64]
    """(n,) logits in float32."""

    @property
    def moved(self) -> NDArray[np.float64]:
        """(n,) |dp|."""
        return np.abs(_sigmoid(self.made) - _sigmoid(self.exact))

    @property
    def undecided_dp(self) -> float:
        """See Trial."""
        spread = float(np.sqrt(np.mean((self.made - self.exact) ** 2)))
        return STEEPEST * DEVIATIONS * spread


def convert_member(
    member: Any,
    chosen: RepresentativeSet,
    options: MemberOptions,
    progress: Callable[[int], None] | None = None,
) -> ConvertedMember:
    """Convert one member.

    Args:
        member: As train.members builds it; not modified.
        chosen: Films to fit on, and to check by.
        options: Scheme, budget and threads.
        progress: Called with 1 after every layer.
    """
    backbone, classifier = export(member), fold_classifier(member)
    fitted = _exact(backbone, classifier, chosen.pixels[: films_that_fit(backbone)])
    check = _exact(backbone, classifier, chosen.check)
    if options.scheme != "int8":
        return _convert_plainly(backbone, classifier, (fitted, check), options, grid(member))
    backbone = equalize(backbone, fitted.inputs[:EQUALIZING])
    classifier = rescale(classifier, backbone.gains)
    network = read_network(backbone.tflite)

    def attempt(plan: _Plan) -> _Attempt:
        floats = left_in_float(network, [c.layer for c in plan.worst])
        kept = [network.names[layer.output] for layer in network.layers if layer.at in floats]
        widened = widen(backbone, plan.finer) if plan.finer else backbone
        inputs = fitted.inputs[: films_that_fit(widened)]
        rounded = reconstruct(widened, inputs, floats, progress)
        tflite = quantize(widened, rounded, kept)
        corrected, errors = _errors(tflite, classifier, (fitted, check), options.threads)
        finer = {network.names[tensor]: count for tensor, count in plan.finer.items()}
        trial = _trial([c.name for c in plan.worst], errors[1], len(tflite), finer)
        told = SCHEMES["int8"] + _told(plan.finer, floats)
        return _Attempt(tflite, corrected, told, rounded, len(inputs), errors, trial)

    made = attempt(_Plan({}, []))
    trials, ranking = [made.trial], list[Contribution]()
    if not within(made.trial, options.budget):
        ranking = rank_layers(backbone, classifier, fitted.inputs[:RANKING])
        films, exact = check.inputs[:SPREAD], check.exact[:SPREAD]
        noise = measure_noise(backbone, classifier, films, exact, made.rounded)
        for plan in _plans(backbone, ranking, noise, trials, options.budget):
            made = attempt(plan)
            trials.append(made.trial)
            if within(made.trial, options.budget):
                break
    report = _report(backbone.name, made.told, made.fitted_films, made.errors, trials, ranking)
    return ConvertedMember(made.tflite, made.classifier, made.told, report, grid(member))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be done to a member beside rounding it."""

    finer: Copies
    worst: Sequence[Contribution]
    """The layers whose outputs stay in float."""


@dataclass(frozen=True, slots=True, eq=False)
class _Attempt:
    """What came of a plan."""

    tflite: bytes
    classifier: Classifier
    told: str
    """The scheme, as the manifest names it."""
    rounded: Reconstruction
    fitted_films: int
    errors: tuple[_Errors, _Errors]
    """On the films that it was fitted on, and on others."""
    trial: Trial


def _plans(
    backbone: FloatBackbone,
    ranking: Sequence[Contribution],
    noise: Noise,
    trials: Sequence[Trial],
    budget: MemberBudget,
) -> Iterator[_Plan]:
    """Finer activations as long as those that are allowed may do, then float layers.

    Args:
        backbone: Equalized.
        ranking: Of the layers that may stay in float.
        noise: Of what was rounded, no activation finer and no layer in float.
        trials: Has what came of that, and of each plan before the next is asked for.
        budget: To be kept to.
    """
    estimated, before = 1.0, Copies()
    for _ in range(FINER_ROUNDS):
        estimated *= MARGIN * _reached(trials[-1], budget)
        finer = choose_finer(backbone, noise, estimated)
        while finer == before:  # which has just been found not to do
            estimated *= MARGIN
            finer = choose_finer(backbone, noise, estimated)
        if finer is None:
            break
        yield _Plan(finer, [])
        before = finer
    for attempt in range(FLOAT_ROUNDS):
        yield _Plan({}, ranking[: 2**attempt])


def _reached(trial: Trial, budget: MemberBudget) -> float:
    """What part of its error a trial may have."""
    pairs = ((budget.mean_dp, trial.mean_abs_dp), (budget.undecided_dp, trial.undecided_dp))
    return min(allowed / found for allowed, found in pairs if found)


def _told(finer: Copies, floats: Collection[int]) -> str:
    parts = ((len(finer), "activations in copies"), (len(floats), "layers in float32"))
    return "".join(f", {count} {what}" for count, what in parts if count)


def within(trial: Trial, budget: MemberBudget) -> bool:
    """Whether a trial keeps to a member's budget.

    Most training films are decided: their p is near 0 or 1, where it hardly moves. Films from elsewhere are
    less so, and p then moves as much as the logit is off. So both are held to a bound.
    """
    return trial.mean_abs_dp <= budget.mean_dp and trial.undecided_dp <= budget.undecided_dp


def films_that_fit(backbone: FloatBackbone, memory: float = MEMORY) -> int:
    """How many films can be walked through a backbone's layers side by side.

    A constant, not what this machine has free: the same run gives the same bundle everywhere.
    """
    network = read_network(backbone.tflite)
    forgotten = network.forgotten()
    one = np.zeros((1, SIDE, SIDE, 1), np.float32)
    live, most = {network.source: one.nbytes}, 0
    for layer, made in walk(network, one):
        live[layer.output] = made.nbytes
        most = max(most, WALKS * sum(live.values()) + SCRATCH * made.nbytes)
        for tensor in forgotten[layer.at]:
            del live[tensor]
    return max(1, int(memory // most))


def _convert_plainly(
    backbone: FloatBackbone,
    classifier: Classifier,
    sets: tuple[_Films, _Films],
    options: MemberOptions,
    places: Grid,
) -> ConvertedMember:
    """By a scheme that has nothing to fit but, for int16, its ranges."""
    network = read_network(backbone.tflite)
    ranges = {network.source: input_range(backbone)}
    if options.scheme == "int16":
        for tensor, largest in channel_ranges(network, sets[0].inputs).items():
            ranges[tensor] = (-float(largest.max()), float(largest.max()))
    tflite = quantize_plainly(backbone, options.scheme, ranges)
    corrected, errors = _errors(tflite, classifier, sets, options.threads)
    told = SCHEMES[options.scheme]
    trials = [_trial([], errors[1], len(tflite), {})]
    report = _report(backbone.name, told, len(sets[0].pixels), errors, trials, [])
    return ConvertedMember(tflite, corrected, told, report, places)


def _exact(backbone: FloatBackbone, classifier: Classifier, pixels: NDArray[np.uint8]) -> _Films:
    inputs, network = backbone.normalise(pixels), read_network(backbone.tflite)
    features = []
    for start in range(0, len(inputs), AT_ONCE):  # the maps of all films at once would not fit
        *_, (_, last) = walk(network, inputs[start : start + AT_ONCE])
        features.append(last)
    return _Films(pixels, inputs, logits(classifier, np.concatenate(features)))


def quantized_features(tflite: bytes, pixels: NDArray[np.uint8], threads: int) -> Batch:
    """The features of prepared films, by the engine that is deployed."""
    runner = choose("cpu").backbone(tflite, "the quantized member", threads)
    return np.concatenate([runner.features((film[None] ^ 0x80).view(np.int8)) for film in pixels])


def _errors(
    tflite: bytes, classifier: Classifier, sets: tuple[_Films, _Films], threads: int
) -> tuple[Classifier, tuple[_Errors, _Errors]]:
    """The classifier with its logit corrected on the first set, and what it is off by on both."""
    features = [quantized_features(tflite, films.pixels, threads) for films in sets]
    corrected = correct_logit(classifier, logits(classifier, features[0]), sets[0].exact)
    off = [
        _Errors(logits(corrected, made), films.exact)
        for made, films in zip(features, sets, strict=True)
    ]
    return corrected, (off[0], off[1])


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(logit / 2)))


def _trial(names: list[str], errors: _Errors, size: int, finer: dict[str, int]) -> Trial:
    return Trial(
        finer=finer,
        left_in_float=names,
        mean_abs_dp=round(float(errors.moved.mean()), 6),
        worst_abs_dp=round(float(errors.moved.max()), 6),
        undecided_dp=round(errors.undecided_dp, 6),
        bytes=size,
    )


def _report(
    name: str,
    scheme: str,
    films: int,
    errors: tuple[_Errors, _Errors],
    trials: list[Trial],
    ranking: list[Contribution],
) -> MemberReport:
    fitted, check = (part.moved for part in errors)
    return MemberReport(
        name=name,
        scheme=scheme,
        fitted_films=films,
        fitted_mean_abs_dp=round(float(fitted.mean()), 6),
        check_mean_abs_dp=round(float(check.mean()), 6),
        check_worst_abs_dp=round(float(check.max()), 6),
        stable=agree(fitted, check),
        trials=trials,
        ranking=[(c.name, round(c.error, 6)) for c in ranking[: 2 ** (FLOAT_ROUNDS - 1)]],
    )


def agree(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two samples of |dp| have the same mean, as far as their spread can tell."""
    spread = np.sqrt(one.var() / len(one) + other.var() / len(other))
    return bool(abs(one.mean() - other.mean()) <= AGREEMENT * spread + SLACK)
