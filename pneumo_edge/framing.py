"""Where the thorax lies on a film, and the film as if it had been collimated to it.

How much of a child is on a film, and how an oblong film is squashed to a square, is a habit of the room and of the
year, and classes differ in it: of the Kermany set's normal films, those of the test split show lungs a sixth taller
than those of the training split, taller even than pneumonia does. A member takes that for a finding. So each film is
laid on a template of chests by a scale and a shift along each axis, and that part of it is what members see.

Source: G. Evangelidis, E. Psarakis, "Parametric image alignment using enhanced correlation coefficient
maximization", IEEE TPAMI 30(10), 2008, as OpenCV has it.
"""

from __future__ import annotations

import io
import zipfile

import cv2
import numpy as np
from numpy.typing import NDArray

from pneumo_edge.bundle import Bundle
from pneumo_edge.errors import BundleError
from pneumo_edge.types import SIDE, Frame, InputTensor

FILE = "template.npz"
"""In a bundle, and in a run."""

TEMPLATE_SIDE = 64
"""Rows and columns of the template: ribs are to be seen in it, vessels are not."""

BLUR = 1.5
"""Gaussian, in its pixels."""

MARGIN = 0.88
"""Part of the template's height and width that is kept. What lies outside is shoulders, neck and belly."""

SMALLEST, LARGEST = 0.6, 1.5
"""Bounds of a frame's scale, before the margin: beyond them it is no longer a chest that was found."""

FARTHEST = 0.25
"""Of the side, to which a frame's middle may be off."""

SCALE_STEP, SHIFT_STEP = 1 / 64, 1 / 4
"""To which frames are rounded, so that processors which add in another order see the same part of a film."""

MAX_BYTES = 2**20
_STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-3)
_WHOLE = Frame()

Template = NDArray[np.float32]
"""(64, 64), the mean of films as `thumbnail` gives them, laid on one another."""


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A film as it is laid on the template: small, with its grey levels spread evenly, blurred.

    Args:
        pixels: (150, 150).

    Returns:
        (64, 64) in [0, 255].
    """
    size = (TEMPLATE_SIDE, TEMPLATE_SIDE)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    even = cv2.equalizeHist(small).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(even, (0, 0), BLUR), np.float32)


def lay(template: Template, small: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """The map from the template's pixels to those of a thumbnail that correlates best.

    Returns:
        (scale across, scale down, shift across, shift down), about the middle, shifts in pixels of the
        thumbnail; None where none was found.
    """
    start = np.eye(2, 3, dtype=np.float32)
    try:
        # Rotation and shear are fitted too, and then left out: films differ in them by little, and a straight
        # box is what a person can follow.
        _, warp = cv2.findTransformECC(template, small, start, cv2.MOTION_AFFINE, _STEPS, None, 1)  # type: ignore[call-overload]  # its stub wants a mask
    except cv2.error:
        return None
    middle = (TEMPLATE_SIDE - 1) / 2
    shift = np.asarray(warp, np.float64) @ (middle, middle, 1) - middle
    found = np.array([warp[0, 0], warp[1, 1], *shift], np.float64)
    return found if np.isfinite(found).all() else None


def find(template: Template, tensor: InputTensor) -> Frame:
    """Where the thorax lies on a prepared film; the whole film where it cannot be found.

    Args:
        template: Of the bundle or of the run.
        tensor: Upright.

    Returns:
        The part of the film that members are to see. It may reach over the film's edge.
    """
    found = lay(template, thumbnail(tensor.pixels[0, ..., 0]))
    if found is None:
        return _WHOLE
    scales = found[:2].clip(SMALLEST, LARGEST) * MARGIN
    shifts = (found[2:] * (SIDE / TEMPLATE_SIDE)).clip(-FARTHEST * SIDE, FARTHEST * SIDE)
    across, down = (np.rint(scales / SCALE_STEP) * SCALE_STEP).tolist()
    right, below = (np.rint(shifts / SHIFT_STEP) * SHIFT_STEP).tolist()
    return Frame(across, down, right, below)


def crop(frame: Frame, tensor: InputTensor) -> InputTensor:
    """The part of a film that lies in the frame, as members see it.

    Returns:
        (1, 150, 150, 1) uint8. Pixels from beyond the film's edge repeat it.
    """
    if frame == _WHOLE:
        return tensor
    middle = (SIDE - 1) / 2
    warp = np.array(
        [
            [frame.across, 0, middle * (1 - frame.across) + frame.right],
            [0, frame.down, middle * (1 - frame.down) + frame.below],
        ]
    )
    part = cv2.warpAffine(
        tensor.pixels[0, ..., 0],
        warp,
        (SIDE, SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return InputTensor(np.asarray(part, np.uint8).reshape(1, SIDE, SIDE, 1))


def framed(template: Template | None, tensor: InputTensor) -> tuple[InputTensor, Frame | None]:
    """What members see of a film, and where that lies; the whole film and None without a template."""
    if template is None:
        return tensor, None
    frame = find(template, tensor)
    return crop(frame, tensor), frame


def encode_template(template: Template) -> bytes:
    """As `template.npz`."""
    content = io.BytesIO()
    np.savez_compressed(content, template=template.astype(np.float16))
    return content.getvalue()


def decode_template(data: bytes) -> Template:
    """From the bytes of `template.npz`.

    Raises:
        ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile: they are none.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data)} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        found = arrays["template"].astype(np.float32)
    if found.shape != (TEMPLATE_SIDE, TEMPLATE_SIDE):
        raise ValueError(f"a template of {found.shape}")
    if not np.isfinite(found).all() or np.ptp(found) < 1:
        raise ValueError("a template without contrast")
    return np.ascontiguousarray(found)


def read_template(bundle: Bundle) -> Template | None:
    """The bundle's template; None where its members see whole films.

    Raises:
        BundleError: it is not what the runtime can use.
    """
    name = bundle.manifest.template
    if name is None:
        return None
    try:
        return decode_template(bundle.content(name))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise BundleError(
            f"{bundle.path / name} cannot be used ({err})",
            "pack it again with pneumo-edge convert",
        ) from None
