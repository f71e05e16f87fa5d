"""Headers, against what Pillow reads of the same bytes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import GifImagePlugin, Image

from pneumo_edge.image_header import MalformedHeaderError, gif_frames, read_header


def saved(kind: str, mode: str = "L", frames: int = 1, **options: object) -> bytes:
    """A 100 x 90 image of noise, whose frames differ."""
    noise = np.random.default_rng(4).integers(0, 256, (frames, 90, 100)).astype(np.uint8)
    images = [Image.fromarray(frame).convert(mode) for frame in noise]
    stream = io.BytesIO()
    if frames > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    images[0].save(stream, kind, **options)
    return stream.getvalue()


CASES = {
    "png": saved("PNG"),
    "palette png": saved("PNG", "P"),
    "apng": saved("PNG", frames=3),
    "jpeg": saved("JPEG"),
    "progressive jpeg": saved("JPEG", "RGB", progressive=True),
    "tiff": saved("TIFF"),
    "big tiff": saved("TIFF", big_tiff=True),
    "tiff of pages": saved("TIFF", frames=4),
    "bmp": saved("BMP"),
    "lossy webp": saved("WEBP", "RGB"),
    "lossless webp": saved("WEBP", "RGB", lossless=True),
    "webp with alpha": saved("WEBP", "RGBA"),
    "animated webp": saved("WEBP", "RGB", frames=2),
}


@pytest.mark.parametrize("name", CASES)
def test_size_frames_and_format_are_pillow_s(name: str) -> None:
    data = CASES[name]
    image = Image.open(io.BytesIO(data))
    header = read_header(data)
    assert header is not None
    assert (header.cols, header.rows) == image.size
    assert header.frames == getattr(image, "n_frames", 1)
    assert header.format.upper() == image.format
    assert header.complete


@pytest.mark.parametrize("name", ["png", "jpeg", "progressive jpeg", "lossy webp", "animated webp"])
def test_a_missing_last_byte_shows(name: str) -> None:
    header = read_header(CASES[name][:-1])
    assert header is not None
    assert not header.complete


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_gif_frames_are_pillow_s(frames: int) -> None:
    data = saved("GIF", frames=frames)
    assert gif_frames(data) == GifImagePlugin.GifImageFile(io.BytesIO(data)).n_frames == frames


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"GIF87a" + bytes(7), b"GIF89a" + b"\xff" * 50])
def test_a_broken_gif_has_no_frames(data: bytes) -> None:
    assert gif_frames(data) == 0


@pytest.mark.parametrize("name", CASES)
def test_any_beginning_of_a_file_is_a_header_or_malformed(name: str) -> None:
    for length in range(16, 200):
        try:
            header = read_header(CASES[name][:length])
        except MalformedHeaderError:
            continue
        assert header is not None
