"""The members and their fusion, loaded and ready to score."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pneumo_edge import threads as cores
from pneumo_edge.bundle import Bundle
from pneumo_edge.early_exit import Fusion
from pneumo_edge.engines import Backbone, Engine
from pneumo_edge.errors import BundleError
from pneumo_edge.framing import framed, read_template
from pneumo_edge.gate.distance import pooled
from pneumo_edge.types import Frame, InputTensor, Interval, Label, MemberScore

_FUSION_TOLERANCE = 1e-4
"""How far the head's fusion may stray from the manifest's weights; both are float32 of one fit."""

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.int8]]


@dataclass(frozen=True, slots=True)
class Votes:
    """What the whole ensemble says of one tensor, before any threshold."""

    members: tuple[MemberScore, ...]
    """In the order in which they were run."""

    y: float
    """The fusion's value."""

    frame: Frame | None = None
    """The part of the film that the members saw; None where the bundle frames none."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the ensemble says of one tensor at one threshold."""

    label: Label
    """pneumonia where y > threshold; the same with early exit as without."""

    members: tuple[MemberScore, ...]
    """Those that were run, in that order."""

    y: float | None
    """None after an early exit."""

    interval: Interval | None
    """After an early exit, where y would lie; None else."""

    engine: str
    """The one that ran the members."""

    indeterminate: bool | None = None
    """Whether y lies in the band; the same with early exit as without. None where no band was given."""

    frame: Frame | None = None
    """The part of the film that the members saw; None where the bundle frames none."""


def band_of(bundle: Bundle, operating_point: str) -> Interval | None:
    """Where y is indeterminate at an operating point; None where the bundle does not say."""
    stated = bundle.band(operating_point)
    return Interval(stated.low, stated.high) if stated is not None else None


class Ensemble:
    """A bundle's members on one engine. Several threads may score at a time; each member serves one."""

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        threads: int,
        side_by_side: int = 1,
        explains: bool = False,
        watched: str | None = None,
    ) -> None:
        """Load the head and check it; the members follow when the first tensor comes.

        Args:
            bundle: What to run.
            engine: What to run it on.
            threads: For each member that runs, 1 to the cores here.
            side_by_side: Members that run at a time; the answers are the same for any number.
            explains: Give each member's score its map, too.
            watched: The member whose features the gate wants with its score: the first to run, with early exit.

        Raises:
            BundleError: the head or the template cannot be loaded, the head fuses by other weights than the
                manifest's, or has no maps.
            EngineError: there are not as many cores as `threads`, or it is below 1.
        """
        self.bundle = bundle
        self.engine = engine
        self._threads = cores.checked(threads)
        self._side_by_side = min(side_by_side, len(bundle.manifest.members))
        self._files = {member.name: member.file for member in bundle.manifest.members}
        self._backbones: dict[str, Future[Backbone]] = {}
        head = bundle.manifest.head
        self._head_name = str(bundle.path / head)
        self._head = engine.head(bundle.model(head), self._head_name)
        self._head_lock = threading.Lock()
        self._template = read_template(bundle)
        self._loading = threading.Lock()
        self._busy = {name: threading.Lock() for name in self._files}
        self._check_fusion()
        self._explains = explains
        if explains:
            self._check_maps()
        self._watched = watched

    def load(self) -> None:
        """Load every member now, so that the first tensor is scored as fast as the next.

        Raises:
            BundleError: one of them cannot be loaded.
            EngineError: the engine cannot run one of them here.
        """
        self._start()
        for backbone in self._backbones.values():
            backbone.result()

    def _start(self) -> None:
        """Load on another thread, in the order in which the members are run.

        The engine holds the interpreter lock while it packs weights and releases it while it runs:
        so the next member is loaded while the one before runs.
        """
        with self._loading:
            lacking = [n for n in self.bundle.manifest.evaluation_order if n not in self._backbones]
            if lacking:
                pool = ThreadPoolExecutor(1)
                self._backbones |= {name: pool.submit(self._backbone, name) for name in lacking}
                pool.shutdown(wait=False)

    def _backbone(self, name: str) -> Backbone:
        file = self._files[name]
        label = str(self.bundle.path / file)
        return self.engine.backbone(self.bundle.model(file), label, self._threads)

    def score(self, tensor: InputTensor) -> Votes:
        """Frame the thorax, run every member, each as soon as it is loaded, and fuse.

        Args:
            tensor: A whole film, upright.

        Raises:
            BundleError: a member cannot be loaded, or a member or the fusion yields a value that is not finite.
            EngineError: the engine failed.
        """
        self._start()
        seen, frame = framed(self._template, tensor)
        pixels = seen.signed
        order = self.bundle.manifest.evaluation_order
        if self._side_by_side > 1:
            scores = list(self._pool.map(lambda name: self._vote(name, pixels), order))
        else:
            scores = [self._vote(name, pixels) for name in self._as_they_are_free(order)]
            scores.sort(key=lambda score: order.index(score.name))
        return Votes(tuple(scores), self._whole(scores), frame)

    def _as_they_are_free(self, order: Sequence[str]) -> Iterator[str]:
        """The members in their order, except that one at work for another thread lets the next go first."""
        waiting = list(order)
        while waiting:
            name = next((name for name in waiting if not self._busy[name].locked()), waiting[0])
            waiting.remove(name)
            yield name

    def decide(
        self,
        tensor: InputTensor,
        threshold: float,
        early_exit: bool = False,
        order: Sequence[str] | None = None,
        band: Interval | None = None,
    ) -> Decision:
        """Label a tensor, with all members or with those that decide it.

        Args:
            tensor: What to score: a whole film, upright.
            threshold: What y is compared with.
            early_exit: Stop as soon as no other member can change the answer. A member that was never
                needed is never loaded.
            order: All members' names, the first to be run first; None for the manifest's order.
            band: Where y is indeterminate; with early exit, whether y lies in it is decided too.

        Raises:
            BundleError: as `score`; with early exit also where the head's fusion is not linear.
            EngineError: the engine failed.
        """
        if not early_exit:
            votes = self.score(tensor)
            return self._decided(votes, threshold, band)
        seen, frame = framed(self._template, tensor)
        pixels = seen.signed
        columns = list(self._files)
        scores: list[MemberScore] = []
        known: dict[int, float] = {}
        for name in self._watched_first(order or self.bundle.manifest.evaluation_order):
            scores.append(self._vote(name, pixels))
            known[columns.index(name)] = scores[-1].probability
            interval = self.fusion.interval(known)
            label = interval.label(threshold)
            inside = interval.inside(band) if band is not None else None
            settled = band is None or inside is not None
            if label is not None and settled and len(known) < len(columns):
                return Decision(
                    label, tuple(scores), None, interval, self.engine.name, inside, frame
                )
        votes = Votes(tuple(scores), self._whole(scores), frame)
        return self._decided(votes, threshold, band)

    def _decided(self, votes: Votes, threshold: float, band: Interval | None) -> Decision:
        """By a y that is known."""
        y = votes.y
        label: Label = "pneumonia" if y > threshold else "normal"
        inside = band.low <= y <= band.high if band is not None else None
        return Decision(label, votes.members, y, None, self.engine.name, inside, votes.frame)

    def _watched_first(self, order: Sequence[str]) -> list[str]:
        """The gate judges every film, so that its member runs whatever the others would decide."""
        return sorted(order, key=lambda name: name != self._watched)

    @cached_property
    def fusion(self) -> Fusion:
        """The head's fusion, as early exit needs to know it.

        Raises:
            BundleError: it is not linear.
        """
        return Fusion.probe(self._fuse, len(self._files), self._head_name)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._side_by_side)

    def _vote(self, name: str, pixels: Pixels) -> MemberScore:
        with self._busy[name]:
            member = self._loaded(name)
            start = time.perf_counter()
            features = member.features(pixels)
            with self._head_lock:
                logit, probability = self._head.classify(name, features)
            ms = (time.perf_counter() - start) * 1e3
            added = None
            if self._explains:
                with self._head_lock:
                    added = self._head.explain(name, features)
        self._check_finite(name, logit, probability)
        if added is not None:
            self._check_finite(f"the map of {name}", float(np.abs(added).max()))
        # A vector unit's sigmoid may be off by its last digit, and early exit relies on [0, 1].
        seen = pooled(features) if name == self._watched else None
        return MemberScore(name, min(max(probability, 0.0), 1.0), logit, ms, added, seen)

    def _loaded(self, name: str) -> Backbone:
        """A member, loaded now if nothing asked for it before."""
        with self._loading:
            backbone = self._backbones.get(name)
            if backbone is None:
                backbone = Future()
                backbone.set_result(self._backbone(name))
                self._backbones[name] = backbone
        return backbone.result()

    def _whole(self, scores: Sequence[MemberScore]) -> float:
        by_name = {score.name: score.probability for score in scores}
        y = self._fuse([by_name[name] for name in self._files])
        self._check_finite("the fusion", y)
        return y

    def _fuse(self, probabilities: Sequence[float]) -> float:
        with self._head_lock:
            return self._head.fuse(np.array([probabilities], np.float32))

    def _check_finite(self, part: str, *values: float) -> None:
        if not all(math.isfinite(value) for value in values):
            raise BundleError(
                f"bundle {self.bundle.id}: {part} answers {values[0]}",
                "its weights are broken; pack it again with pneumo-edge convert",
            )

    def _check_maps(self) -> None:
        lacking = [name for name in self._files if not self._head.explains(name)]
        if lacking:
            raise BundleError(
                f"bundle {self.bundle.id} is older than heat maps: its head has no explain_{lacking[0]}",
                "pack it again with pneumo-edge convert, or leave out --overlay",
            )

    def _check_fusion(self) -> None:
        """The manifest's weights are what people read; the head's are what runs and what bounds y."""
        manifest = self.bundle.manifest
        bias = self._fuse([0.0] * len(self._files))
        pairs = [("bias", bias, manifest.bias)]
        for index, member in enumerate(manifest.members):
            unit = [float(index == other) for other in range(len(self._files))]
            pairs.append((f"weight of {member.name}", self._fuse(unit) - bias, member.weight))
        for what, found, said in pairs:
            if not abs(found - said) <= _FUSION_TOLERANCE:
                raise BundleError(
                    f"bundle {self.bundle.id}: the head's {what} is {found:.5f},"
                    f" the manifest says {said:.5f}",
                    "pack it again with pneumo-edge convert",
                )
