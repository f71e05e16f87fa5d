"""The members and their fusion, loaded and ready to score."""

from __future__ import annotations

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pneumo_edge.bundle import Bundle
from pneumo_edge.engines import Backbone, Engine
from pneumo_edge.errors import BundleError
from pneumo_edge.types import InputTensor, MemberScore

_FUSION_TOLERANCE = 1e-4
"""How far the head's fusion may stray from the manifest's weights; both are float32 of one fit."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What the ensemble says of one tensor, before any threshold."""

    members: tuple[MemberScore, ...]
    """In the order in which they were run."""

    y: float
    """The fusion's value."""


class Ensemble:
    """A bundle's members on one engine. Not thread-safe: make one for each thread."""

    def __init__(self, bundle: Bundle, engine: Engine, threads: int) -> None:
        """Load the head and check it; the members follow when the first tensor comes.

        Raises:
            BundleError: the head cannot be loaded, or fuses by other weights than the manifest's.
        """
        self.bundle = bundle
        self.engine = engine
        self._threads = threads
        self._files = {member.name: member.file for member in bundle.manifest.members}
        self._backbones: dict[str, Future[Backbone]] = {}
        head = bundle.manifest.head
        self._head = engine.head(bundle.model(head), str(bundle.path / head))
        self._check_fusion()

    def load(self) -> None:
        """Load every member now, so that the first tensor is scored as fast as the next.

        Raises:
            BundleError: one of them cannot be loaded.
        """
        self._start()
        for backbone in self._backbones.values():
            backbone.result()

    def _start(self) -> None:
        """Load on another thread, in the order in which the members are run.

        The engine holds the interpreter lock while it packs weights and releases it while it runs:
        so the next member is loaded while the one before runs.
        """
        if not self._backbones:
            pool = ThreadPoolExecutor(1)
            order = self.bundle.manifest.evaluation_order
            self._backbones = {name: pool.submit(self._backbone, name) for name in order}
            pool.shutdown(wait=False)

    def _backbone(self, name: str) -> Backbone:
        file = self._files[name]
        label = str(self.bundle.path / file)
        return self.engine.backbone(self.bundle.model(file), label, self._threads)

    def score(self, tensor: InputTensor) -> Votes:
        """Run every member, each as soon as it is loaded, and fuse.

        Raises:
            BundleError: a member cannot be loaded, or a member or the fusion yields a value that is not finite.
        """
        self._start()
        pixels = (tensor.pixels ^ 0x80).view(np.int8)  # uint8 minus 128
        scores = tuple(self._vote(name, pixels) for name in self.bundle.manifest.evaluation_order)
        by_name = {score.name: score.probability for score in scores}
        y = self._fuse([by_name[name] for name in self._files])
        self._check_finite("the fusion", y)
        return Votes(scores, y)

    def _vote(
        self, name: str, pixels: np.ndarray[tuple[int, ...], np.dtype[np.int8]]
    ) -> MemberScore:
        backbone = self._backbones[name].result()
        start = time.perf_counter()
        logit, probability = self._head.classify(name, backbone.features(pixels))
        ms = (time.perf_counter() - start) * 1e3
        self._check_finite(name, logit, probability)
        return MemberScore(name, probability, logit, ms)

    def _fuse(self, probabilities: list[float]) -> float:
        return self._head.fuse(np.array([probabilities], np.float32))

    def _check_finite(self, part: str, *values: float) -> None:
        if not all(math.isfinite(value) for value in values):
            raise BundleError(
                f"bundle {self.bundle.id}: {part} answers {values[0]}",
                "its weights are broken; pack it again with pneumo-edge convert",
            )

    def _check_fusion(self) -> None:
        """The manifest's weights are what people read and what bounds y; the head's are what runs."""
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
