"""Heads whose weights are in disorder: does a heat map depend on what was learnt?

Source: J. Adebayo et al., "Sanity checks for saliency maps", 2018, section 4.1, cascading randomisation from the
output downwards. Weights are shuffled, not drawn: their distribution, and so the range of the maps, stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge import tflite_file
from pneumo_edge.engines import Head
from pneumo_edge.heatmap import fuse
from pneumo_edge.manifest import Manifest
from pneumo_edge.types import MemberScore

Depth = Literal["output", "head"]
DEPTHS: tuple[Depth, ...] = ("output", "head")
"""The classifiers' last layers; these and the hidden ones."""

Features = dict[str, NDArray[np.float32]]
"""A film's feature maps, by member."""

Map = NDArray[np.floating[Any]]


def randomised(head: bytes, depth: Depth, seed: int) -> bytes:
    """The head with each layer's weights shuffled among themselves.

    `classify_<member>` and `explain_<member>` are shuffled alike, those weights too of which they hold a copy
    each: what is drawn hangs on the layer's size alone.

    Args:
        head: The .tflite, as `convert` makes it.
        depth: How far down from the output.
        seed: Of the shuffling.
    """
    model = tflite_file.parse(head)
    chosen: set[int] = set()
    for signature in model.signatureDefs:
        graph = model.subgraphs[signature.subgraphIndex]
        name = bytes(signature.signatureKey)
        for operator in graph.operators:
            if name.startswith((b"classify_", b"explain_")):
                chosen |= _weights(model, graph, operator, depth)
    for index in chosen:
        buffer = model.buffers[index]
        values = np.array(buffer.data, np.uint8).view(_type(model, index))
        order = np.random.default_rng((seed, len(values))).permutation(len(values))
        buffer.data = values[order].view(np.uint8)
    return tflite_file.pack(model)


def _weights(model: Any, graph: Any, operator: Any, depth: Depth) -> set[int]:
    """The buffers of an operator's weights that are to be shuffled."""
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[operator.opcodeIndex]
    kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    builtin = schema.BuiltinOperator
    tensors = [graph.tensors[index] for index in operator.inputs if index >= 0]
    if kind == builtin.CONV_2D and depth == "head":
        return {tensor.buffer for tensor in tensors[1:]} & _filled(model)
    # The output weights: of the dense layer in classify, a factor (1, units) in explain.
    if kind == builtin.FULLY_CONNECTED:
        return {tensors[1].buffer} & _filled(model)
    if kind == builtin.MUL:
        rows = {t.buffer for t in tensors if len(t.shape) == 2 and t.shape[0] == 1}
        return rows & _filled(model)
    return set()


def _filled(model: Any) -> set[int]:
    return {index for index, buffer in enumerate(model.buffers) if buffer.data is not None}


def _type(model: Any, index: int) -> type[np.int8 | np.float32]:
    """Of a buffer's values: the head has kernels in int8 and all else in float32."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = {t.type for graph in model.subgraphs for t in graph.tensors if t.buffer == index}
    return np.int8 if kinds == {schema.TensorType.INT8} else np.float32


def maps(head: Head, films: Sequence[Features], manifest: Manifest) -> list[NDArray[np.float32]]:
    """Each film's fused map by a head, (30, 30)."""
    return [
        fuse([_vote(head, name, f) for name, f in film.items()], manifest).values for film in films
    ]


def _vote(head: Head, name: str, features: NDArray[np.float32]) -> MemberScore:
    logit, probability = head.classify(name, features)
    return MemberScore(name, probability, logit, 0.0, head.explain(name, features))


def spearman(one: Map, other: Map) -> float:
    """Rank correlation of two maps' cells, -1 to 1; 0 where one of them is flat."""
    ranks = [
        np.argsort(np.argsort(values, axis=None)).astype(np.float64) for values in (one, other)
    ]
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def ssim(one: Map, other: Map) -> float:
    """Structural similarity of two maps, each from 0 to 1 with 0 in its middle: 1 for the same.

    Source: Z. Wang et al., "Image quality assessment", 2004; Gaussian windows of sigma 1.5.
    """
    a, b = (
        0.5 + values.astype(np.float64) / max(2 * float(np.abs(values).max()), 1e-12)
        for values in (one, other)
    )

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5))

    level, contrast = 0.01**2, 0.03**2
    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    found = (2 * ma * mb + level) * (2 * both + contrast)
    return float((found / ((ma**2 + mb**2 + level) * (va + vb + contrast))).mean())
