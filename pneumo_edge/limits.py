"""What a file may ask for before a decoder sees it."""

from __future__ import annotations

from pneumo_edge.errors import BadRadiographError

MAX_BYTES = 128 * 2**20
MAX_PIXELS = 50_000_000
"""The largest detectors in use have 18 million; a scanned film has up to 45 million."""
MIN_SIDE = 75
"""Half of the members' input side. Below it there is no detail left to judge."""
MAX_ASPECT = 4.0
"""Long side over short side; beyond it no chest fits."""


def check_bytes(size: int, source: str) -> None:
    """Refuse a file that is empty or larger than MAX_BYTES.

    Raises:
        BadRadiographError: it is.
    """
    if size == 0:
        raise BadRadiographError(f"{source} is empty (0 bytes)", "copy or export the image again")
    if size > MAX_BYTES:
        raise BadRadiographError(
            f"{source} has {size / 2**20:.0f} MiB, above the limit of {MAX_BYTES // 2**20}",
            "export it smaller or compressed",
        )


def check_size(rows: int, cols: int, source: str) -> None:
    """Refuse an image by the size that its header states.

    Raises:
        BadRadiographError: it has too many pixels, a side too short for a chest, or no chest's shape.
    """
    size = f"{source} is {cols} x {rows} pixels"
    if rows * cols > MAX_PIXELS:
        raise BadRadiographError(
            f"{size}, above the limit of {MAX_PIXELS // 10**6} million", "export it smaller"
        )
    if min(rows, cols) < MIN_SIDE:
        raise BadRadiographError(
            f"{size}, with a side below {MIN_SIDE}", "export the radiograph at its full size"
        )
    if max(rows, cols) > MAX_ASPECT * min(rows, cols):
        raise BadRadiographError(
            f"{size}, longer than {MAX_ASPECT:.0f}:1",
            "crop it to the chest, or export the whole film",
        )
