"""Images in arrays: which axis holds the channels, and which numbers are bytes of pixels."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["as_pixels", "channels_first"]

CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency


def channels_first(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape [N, ...] have their channels on the first axis, as in PyTorch, not the last.

    >>> channels_first((60, 3, 32, 32)), channels_first((60, 32, 32, 3)), channels_first((60, 16, 8, 8))
    (True, False, False)
    """
    if len(shape) != 4:
        return False
    first, height, width = shape[1:]
    return width not in CHANNELS and (first in CHANNELS or (first < height == width))


def as_pixels(parts: list[np.ndarray]) -> tuple[list[np.ndarray], str]:
    """Images as u8[N, H, W, C] and rows of bytes as u8[N, d], in both parts; all other numbers as float32.

    Numbers of type u8 are bytes, whatever the shape; zeros and ones in u8 are not grey levels but black and white. In
    other types, integers are bytes if they range from 0 up to between 128 and 255 and are images, or rows as long as a
    square image. Real numbers of this range in images are divided by 255.

    Args:
      parts: arrays [N, ...] of numbers, for training and test.

    Returns:
      The arrays, and a description of what was changed, or "".
    """
    shape, changes = parts[0].shape, []
    images = len(shape) in (3, 4)
    if not images and (len(shape) != 2 or min(map(len, parts)) == 0):
        return _real(parts), ""
    low, high = (float(bound([bound(part) for part in parts])) if parts[0].size else 0.0 for bound in (np.min, np.max))
    as_bytes = parts[0].dtype == np.uint8 and all(part.dtype == np.uint8 for part in parts)
    levels = low >= 0 and 127 < high <= 255
    if as_bytes and high == 1:
        if not images:
            return _real(parts), ""
        parts = [255 * part for part in parts]
        changes.append("zeros and ones are black and white")
    elif not as_bytes and levels and (images or _square(shape[1])):
        if all(part.dtype.kind in "iu" or bool(np.all(part % 1 == 0)) for part in parts):
            parts, as_bytes = [part.astype(np.uint8) for part in parts], True
            changes.append("whole numbers from 0 to 255 are taken as pixels")
        elif images:
            parts = [part / 255 for part in parts]
            changes.append("numbers from 0 to 255 are divided by 255")
    if channels_first(shape):
        parts = [np.ascontiguousarray(np.moveaxis(part, 1, -1)) for part in parts]
        changes.append("channels are moved from the first axis to the last")
    if as_bytes and len(shape) == 3:
        parts = [part[..., None] for part in parts]
    return (parts if as_bytes else _real(parts)), ", ".join(changes)


def _square(width: int) -> bool:
    """Whether a row can be a square image, grey or in colour, of at least 8 x 8 pixels."""
    return any(
        width % channels == 0 and math.isqrt(width // channels) ** 2 * channels == width >= 64 for channels in (1, 3)
    )


def _real(parts: list[np.ndarray]) -> list[np.ndarray]:
    with np.errstate(over="ignore"):  # `validate` refuses an overflow
        return [(part[:, None] if part.ndim == 1 else part).astype(np.float32) for part in parts]
