"""The bundle: a folder, or a .zip of it, that is checked before anything in it is trusted."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from pneumo_edge.errors import BundleError
from pneumo_edge.manifest import MEMBER_NAMES, SCHEMA_VERSION, SIDE, Band, Manifest, answer_id

ENVIRONMENT = "PNEUMO_EDGE_BUNDLE"
"""Names another bundle than the one that ships, for every command."""

MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**20
MAX_FILE_BYTES = 2**30
_BLOCK = 2**18
_AGAIN = "copy the bundle again, or leave out --bundle to use the one that ships"
_REPACK = "pack it again with pneumo-edge convert"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose schema and hashes held when it was loaded."""

    path: Path
    """The folder or the .zip."""

    manifest: Manifest

    prefix: str
    """What stands before every name inside a .zip; empty in a folder."""

    @property
    def id(self) -> str:
        """The manifest's id."""
        return self.manifest.id

    def threshold(self, operating_point: str) -> float:
        """What y is compared with.

        Raises:
            BundleError: the bundle has no such operating point.
        """
        points = self.manifest.operating_points
        if operating_point not in points:
            raise BundleError(
                f"bundle {self.id} has no operating point {operating_point!r}",
                f"choose one of {', '.join(points)}",
            )
        return points[operating_point]

    def band(self, operating_point: str) -> Band | None:
        """Where y is indeterminate at an operating point; None where the bundle does not say."""
        stated = self.manifest.indeterminate
        return stated.bands.get(operating_point) if stated is not None else None

    def model(self, name: str) -> Path | bytes:
        """A model file: its path, which an engine may map; its bytes where it lies in a .zip."""
        if self.path.is_dir():
            return self.path / name
        return b"".join(_blocks(self.path, self.prefix + name))

    def content(self, name: str) -> bytes:
        """The bytes of a file, wherever it lies."""
        model = self.model(name)
        return model if isinstance(model, bytes) else model.read_bytes()


def default_bundle() -> Path:
    """The bundle that PNEUMO_EDGE_BUNDLE names, else the one that ships inside the package."""
    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else Path(__file__).parent / "bundles" / "default"


def load_bundle(path: Path | None = None) -> Bundle:
    """Open a bundle and check its schema, its consistency and the hash of every file.

    Args:
        path: A folder or a .zip; None for `default_bundle()`.

    Raises:
        BundleError: it is missing, damaged, altered or inconsistent, or of an unknown schema.
    """
    path = default_bundle() if path is None else path
    prefix = _prefix(path)
    manifest = _manifest(path, prefix)
    _check_consistency(manifest, path)
    # SHA-256 releases the interpreter lock, so that two files are read at a time.
    with ThreadPoolExecutor(2) as pool:
        hashes = pool.map(lambda name: _sha256(path, prefix + name), manifest.files)
        for name, found in zip(manifest.files, hashes, strict=True):
            if found != manifest.files[name]:
                raise BundleError(
                    f"{path / name} was altered or cut off: its SHA-256 starts with {found[:12]},"
                    f" the manifest says {manifest.files[name][:12]}",
                    _AGAIN,
                )
    if manifest.id != answer_id(manifest):
        raise BundleError(
            f"{path / MANIFEST} was altered: it says id {manifest.id}, and its content has"
            f" {answer_id(manifest)}",
            _AGAIN,
        )
    return Bundle(path, manifest, prefix)


def load_ahead(path: Path | None) -> Future[Bundle]:
    """Start `load_bundle` on another thread; the result raises what that raises."""
    pool = ThreadPoolExecutor(1)
    opening = pool.submit(load_bundle, path)
    pool.shutdown(wait=False)
    return opening


def _prefix(path: Path) -> str:
    """Empty for a folder; for a .zip the folder inside it that holds the manifest."""
    try:
        folder, exists = path.is_dir(), path.exists()
    except OSError as err:  # a parent that this user may not enter, a name too long
        raise BundleError(f"{path} cannot be read ({err.strerror})", _AGAIN) from None
    if folder:
        return ""
    if not exists:
        raise BundleError(
            f"there is no bundle at {path}", "name a bundle's folder or .zip with --bundle"
        )
    import zipfile  # as in _zipped

    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if Path(name).name == MANIFEST]
    except (OSError, zipfile.BadZipFile) as err:
        raise BundleError(
            f"{path} is neither a folder nor a readable .zip ({err})", _AGAIN
        ) from None
    if not names:
        raise BundleError(f"{path} holds no {MANIFEST}", "name a bundle, not another archive")
    return min(names, key=len).removesuffix(MANIFEST)


def _manifest(path: Path, prefix: str) -> Manifest:
    text = b"".join(_blocks(path, prefix + MANIFEST, MAX_MANIFEST_BYTES))
    try:
        # json, unlike msgspec, reads NaN, so that the message can say where the NaN is.
        raw: Any = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise BundleError(f"{path / MANIFEST} is not JSON ({err})", _AGAIN) from None
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA_VERSION:
        raise BundleError(
            f"{path / MANIFEST} has schema version {schema!r}, this version reads {SCHEMA_VERSION}",
            "install the pneumo-edge that wrote the bundle, or pack it again with this one",
        )
    for where, value in _numbers(raw, ""):
        if not math.isfinite(value):
            raise BundleError(f"{path / MANIFEST} has {value} at {where}", _REPACK)
    try:
        return msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as err:
        raise BundleError(f"{path / MANIFEST}: {err}", _REPACK) from None


def _numbers(value: Any, where: str) -> Iterator[tuple[str, float]]:
    """Every float of a parsed JSON document, with its place."""
    if isinstance(value, float):
        yield where, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{where}[{index}]")


def _check_consistency(manifest: Manifest, path: Path) -> None:
    """Check what a type cannot say."""
    names = [member.name for member in manifest.members]
    needed = [manifest.head, *(member.file for member in manifest.members)]
    needed += [manifest.template] if manifest.template is not None else []
    contract = manifest.input
    odd = [name for name in manifest.files if Path(name).name != name or name in ("", "..")]
    lacking = [name for name in needed if name not in manifest.files]
    problems = {
        f"members {names} where {list(MEMBER_NAMES)} belong": names != list(MEMBER_NAMES),
        f"evaluation order {manifest.evaluation_order} for members {names}": (
            sorted(manifest.evaluation_order) != sorted(names)
        ),
        f"operating points {manifest.operating_points}, where paper has to be 0.5": (
            manifest.operating_points.get("paper") != 0.5
        ),
        **_off_their_points(manifest),
        f"no hash for {', '.join(lacking)}": bool(lacking),
        f"file name {odd[0] if odd else ''!r} outside the bundle": bool(odd),
        f"an input of {contract.rows} x {contract.cols} x {contract.channels} {contract.dtype}": (
            (contract.rows, contract.cols, contract.channels, contract.dtype)
            != (SIDE, SIDE, 1, "uint8")
        ),
    }
    for problem, holds in problems.items():
        if holds:
            raise BundleError(f"{path / MANIFEST} has {problem}", _REPACK)


def _off_their_points(manifest: Manifest) -> dict[str, bool]:
    """Bands that do not hold the threshold they belong to."""
    bands = manifest.indeterminate.bands if manifest.indeterminate is not None else {}
    points = manifest.operating_points
    return {
        f"a band {band.low} to {band.high} for the operating point {name} at {points.get(name)}": (
            name not in points or not band.low <= points[name] <= band.high
        )
        for name, band in bands.items()
    }


def _sha256(path: Path, name: str) -> str:
    digest = hashlib.sha256()
    for block in _blocks(path, name):
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path, name: str, limit: int = MAX_FILE_BYTES) -> Iterator[bytes]:
    """A file of the bundle, block by block, from the folder or the .zip."""
    size = 0
    try:
        opened = (path / name).open("rb", buffering=0) if path.is_dir() else _zipped(path, name)
        with opened as stream:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > limit:
                    raise BundleError(f"{path / name} has more than {limit} bytes", _AGAIN)
                yield block
    except FileNotFoundError:
        raise BundleError(f"{path / name} is missing", _AGAIN) from None
    except OSError as err:
        raise BundleError(f"{path / name} cannot be read ({err.strerror or err})", _AGAIN) from None


@contextmanager
def _zipped(path: Path, name: str) -> Iterator[IO[bytes]]:
    """A file inside a .zip, whose failures become those that a file of a folder has."""
    import zipfile  # costs a hundredth of a second, and the bundle that ships is a folder
    import zlib

    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
            yield stream
    except KeyError:
        raise FileNotFoundError(name) from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as err:
        raise OSError(str(err)) from None
