"""A bundle folder, written whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pneumo_edge.errors import BundleError
from pneumo_edge.manifest import Manifest

MANIFEST = "manifest.json"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a .zip can hold; the same for every file, so that equal bundles are equal bytes."""


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each file, in hex, sorted by name."""
    return {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}


def refuse_existing(target: Path, force: bool) -> None:
    """Refuse to write over something, unless told to.

    Raises:
        BundleError: `target` exists, and is either not to be replaced or holds no bundle.
    """
    if not target.exists():
        return
    if not force:
        raise BundleError(f"{target} exists", "name another folder, or pass --force to replace it")
    if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST).is_file()):
        raise BundleError(f"{target} is no bundle, so it is not replaced", "name another folder")


def write(
    target: Path, manifest: Manifest, files: Mapping[str, bytes], force: bool = False
) -> None:
    """Write a bundle beside `target`, then rename it into place.

    Args:
        target: The folder to make; its parent is made too.
        manifest: Its `files` are the hashes of `files`.
        files: Every other file of the bundle, by name.
        force: Replace a bundle that is there.

    Raises:
        BundleError: see `refuse_existing`; or the folder cannot be written.
    """
    refuse_existing(target, force)
    if manifest.files != digests(files):
        raise ValueError("the manifest's hashes are not those of the files")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            partial.chmod(0o755)  # mkdtemp makes it private
            for name, content in files.items():
                (partial / name).write_bytes(content)
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            (partial / MANIFEST).write_bytes(text + b"\n")
            if target.exists():
                shutil.rmtree(target)
            partial.replace(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as err:
        raise BundleError(
            f"cannot write {target}: {err}", "name a folder that is writable"
        ) from None


def write_zip(bundle: Path) -> Path:
    """The same bundle as one file beside it, `<bundle>.zip`; equal bundles give equal bytes."""
    target = bundle.with_name(bundle.name + ".zip")
    partial = target.with_name(target.name + ".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.iterdir()):
            info = zipfile.ZipInfo(path.name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, path.read_bytes())
    partial.replace(target)
    return target
