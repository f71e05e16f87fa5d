"""The members in the forms that the peers read, made once for each bundle and kept in the cache folder.

`python -m benchmarks.exports BUNDLE FOLDER [RUN]` makes them in a process of its own, because
TensorFlow stays in a process's memory, and prints what could not be made, with the reason, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.peers import FLOAT, ONNX, OPENVINO
from pneumo_edge import choice
from pneumo_edge.bundle import Bundle, load_bundle
from pneumo_edge.manifest import MEMBER_NAMES
from pneumo_edge.tflite_file import inlined

OPSET = 17

FLOAT_HEAD = "head.float.tflite"
"""The classifiers and the fusion of the float members, in the order of `MEMBER_NAMES`."""


def folder(bundle: Bundle, run: Path | None) -> Path:
    """Where the exports of a bundle lie; float weights from another run lie elsewhere."""
    models = sorted(run.rglob("model.keras")) if run else []
    stamps = [f"{path} {path.stat().st_mtime_ns}" for path in models]
    digest = hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:12]
    return choice.folder() / "bench" / f"{bundle.id}-{digest if run else 'random'}"


def make(bundle: Bundle, run: Path | None) -> dict[str, str]:
    """Make what is not there yet.

    Returns:
        By peer, why it cannot take part; empty when all can.
    """
    target = folder(bundle, run)
    command = [sys.executable, "-m", "benchmarks.exports", str(bundle.path.absolute()), str(target)]
    if run is not None:
        command.append(str(run.absolute()))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return dict.fromkeys((FLOAT, ONNX, OPENVINO), last)
    return found


def keras_member(name: str, run: Path | None) -> Any:
    """A float member: the run's, or one with random weights, which takes as long.

    Raises:
        PneumoEdgeError: the run has no such member.
    """
    import keras

    from train.members import build_member
    from train.run import Run

    if run is None:
        keras.utils.set_random_seed(20)
        return build_member(name)
    return keras.models.load_model(Run(run).model_path(name), compile=False)


def normalisation(exports: Path, name: str) -> tuple[int, float]:
    """(mean, scale) of a float export's input, scale * (grey level - mean)."""
    mean, scale = json.loads((exports / f"{name}.float.json").read_text(encoding="utf-8"))
    return int(mean), float(scale)


def output_scale(model: Path) -> tuple[float, int]:
    """(scale, zero point) of the features of an int8 .tflite."""
    from ai_edge_litert.interpreter import Interpreter

    (output,) = Interpreter(model_path=str(model)).get_output_details()
    scale, zero_point = output["quantization"]
    return float(scale), int(zero_point)


def _int8(bundle: Bundle, target: Path, _: Path | None) -> None:
    for member in bundle.manifest.members:
        path = target / f"{member.name}.int8.tflite"
        if not path.exists():
            _keep(path, inlined(bundle.content(member.file)))


def _onnx(_: Bundle, target: Path, __: Path | None) -> None:
    import tf2onnx.convert

    for name in MEMBER_NAMES:
        path = target / f"{name}.onnx"
        if not path.exists():
            source = str(target / f"{name}.int8.tflite")
            _keep(path, tf2onnx.convert.from_tflite(source, opset=OPSET)[0].SerializeToString())


def write_float(bundle: Bundle, target: Path, run: Path | None) -> None:
    """The float bases, and a head of their own: the bundle's expects the channels that `convert` equalized."""
    if (target / FLOAT_HEAD).exists():  # which is written last
        return
    from convert.export import export
    from convert.head import build_head, fold_classifier

    classifiers = []
    for name in MEMBER_NAMES:
        path = target / f"{name}.float.tflite"
        member = keras_member(name, run)
        exported = export(member)
        _keep(path.with_suffix(".json"), json.dumps([exported.mean, exported.scale]).encode())
        _keep(path, exported.tflite)
        classifiers.append(fold_classifier(member))
    weights = {member.name: member.weight for member in bundle.manifest.members}
    ordered = [weights[name] for name in MEMBER_NAMES]
    _keep(target / FLOAT_HEAD, build_head(classifiers, ordered, bundle.manifest.bias, "float32"))


def _keep(path: Path, content: bytes) -> None:
    """Write a form, whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)


def main() -> None:
    """Make every form; one that fails leaves its reason, and the next is tried."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    said = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not stand in the answer
    bundle_path, target, *run = (Path(argument) for argument in sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    bundle = load_bundle(bundle_path)
    reasons: dict[str, str] = {}
    for peer, step in ((OPENVINO, _int8), (ONNX, _onnx), (FLOAT, write_float)):
        try:
            step(bundle, target, run[0] if run else None)
        except Exception as err:  # noqa: BLE001, PERF203  # a converter may raise anything
            reasons[peer] = (str(err).strip().splitlines() or [type(err).__name__])[0]
    with os.fdopen(said, "w", encoding="utf-8") as out:
        out.write(json.dumps(reasons) + "\n")


if __name__ == "__main__":
    main()
