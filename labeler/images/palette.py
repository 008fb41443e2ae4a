"""What the values of a PNG mean: which of its indices or colours is the background."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from labeler.images.opening import UnclearMaskError

OBJECT_COLOURS = 22
"""The colours of DAVIS's palette that tell objects apart; the other indices are grey."""


def davis_palette() -> tuple[int, ...]:
    """Return the 256 colours of DAVIS's palette, red, green and blue after each other.

    The first 22 are those of PASCAL VOC, whose bits are those of the index; the others are grey.

    >>> davis_palette()[:9], davis_palette()[-3:]
    ((0, 0, 0, 128, 0, 0, 0, 128, 0), (255, 255, 255))
    """
    colours: list[int] = []
    for index in range(256):
        for channel in range(3):
            bits = (index >> channel & 1) << 7 | (index >> channel + 3 & 1) << 6
            colours.append(bits if index < OBJECT_COLOURS else index)
    return tuple(colours)


def palette_values(picture: Pillow.Image) -> NDArray[np.uint8]:
    """Read a palette picture as H x W uint8, with 0 for the background.

    If index 0 is black, as in DAVIS's palette, the indices are the values: many tools write a
    palette whose other colours are black, too. Otherwise the colours tell: the background is what
    is black, or transparent. (Pillow's `quantize` and others give the most frequent or the
    brightest colour the index 0.)

    Raises:
        UnclearMaskError: neither tells which index is the background.
    """
    indices = np.asarray(picture, dtype=np.uint8)
    colours = np.zeros((256, 3), np.uint8)
    known = np.array(picture.getpalette() or (), np.uint8).reshape(-1, 3)
    colours[: len(known)] = known
    alpha = _alpha(picture)
    used = np.unique(indices)
    if ((alpha[used] > 0) & (alpha[used] < 255)).any():
        raise UnclearMaskError("it has half-transparent pixels")
    clear = [int(index) for index in used if alpha[index] == 0]
    black = [int(index) for index in used if alpha[index] and not colours[index].any()]
    if not len(known) or (not colours[0].any() and clear in ([], [0])):
        return indices
    background = clear or black
    if len(background) != 1 or (clear and black):
        raise UnclearMaskError(
            "its palette does not tell which colour is the background: it must be black and the "
            "only one that is"
        )
    values = indices.copy()
    if 0 in used and background != [0]:
        values[indices == 0] = np.setdiff1d(np.arange(1, 255), used)[0]
    values[indices == background[0]] = 0
    return values


def opaque_values(picture: Pillow.Image) -> NDArray[np.uint32]:
    """Read a picture with an alpha channel as H x W colours, 0 where it is transparent.

    Raises:
        UnclearMaskError: pixels are half-transparent, or everything is transparent, or what is
            opaque is black, so that background and portrait cannot be told apart.
    """
    *_, alpha = picture.split()
    opacity = np.asarray(alpha)
    colours = rgb_values(picture)
    if (opacity == 255).all():
        return colours
    if ((opacity > 0) & (opacity < 255)).any():
        raise UnclearMaskError("it has half-transparent pixels")
    if not opacity.any() or not colours[opacity == 255].any():
        raise UnclearMaskError("it has transparent pixels, and no opaque ones in another colour")
    return np.where(opacity == 255, colours, np.uint32(0))


def rgb_values(picture: Pillow.Image) -> NDArray[np.uint32]:
    """Read a picture's colours as H x W numbers, 0 for black."""
    colours = np.asarray(picture.convert("RGB"))
    values = colours[..., 0].astype(np.uint32)
    for channel in (1, 2):
        values = values << np.uint32(8) | colours[..., channel]
    return values


def _alpha(picture: Pillow.Image) -> NDArray[np.uint8]:
    """Return the opacity of each index of a palette picture."""
    alpha = np.full(256, 255, np.uint8)
    given: Any = picture.info.get("transparency")
    if isinstance(given, bytes):
        alpha[: len(given)] = np.frombuffer(given, np.uint8)[:256]
    elif isinstance(given, int):
        alpha[given] = 0
    return alpha
