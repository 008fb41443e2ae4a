"""Binary masks: what one is, and how one is read and written as a PNG."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from labeler.errors import LabelerError
from labeler.images.opening import opened
from labeler.images.palette import davis_palette, opaque_values, palette_values, rgb_values

Mask = NDArray[np.bool_]
"""One frame's mask: H x W, bool, True where the portrait is."""

PORTRAIT_COLOUR = (128, 0, 0)
"""The colour of index 1 in the palette of DAVIS, which MVPS follows."""


def encode_mask(mask: Mask, note: str | None = None) -> bytes:
    """Encode a mask as a 1-bit palette PNG: 0 background, 1 portrait.

    The bytes depend only on the mask and the note. `note` is stored in the file as a text chunk
    named `mvps`, so that the file itself says who made the mask (see `read_note`).
    """
    height, width = mask.shape
    indexed = Pillow.frombytes("P", (width, height), mask.astype(np.uint8).tobytes())
    indexed.putpalette((0, 0, 0, *PORTRAIT_COLOUR))
    text = PngInfo()
    if note is not None:
        text.add_text("mvps", note)
    file = io.BytesIO()
    indexed.save(file, "PNG", bits=1, pnginfo=text)
    return file.getvalue()


def encode_published_mask(mask: Mask) -> bytes:
    """Encode a mask as a palette PNG of 0 and 1 with the 256 colours of DAVIS.

    Tools that read DAVIS write their results with the palette of a mask that they have read, so it
    needs a colour for each of their objects.
    """
    indexed = Pillow.fromarray(mask.astype(np.uint8), "L")
    indexed.putpalette(davis_palette())
    file = io.BytesIO()
    indexed.save(file, "PNG")
    return file.getvalue()


def read_mask(path: Path, size: tuple[int, int] | None = None) -> Mask:
    """Read a mask from a palette, grey or colour PNG of one or two values, one of them black.

    A transparent pixel is background. `palette_values` says how palettes are understood.

    Args:
        path: the file; values may be 0/1, 0/255 or 0 and any other single value or colour.
        size: (height, width) the mask must have, in pixels.

    Returns:
        H x W bool, True where the value is not zero.

    Raises:
        LabelerError: the file is missing or unreadable, has another size, does not tell which
            value is the background, or has more than two values (an anti-aliased or multi-object
            mask).
    """
    cure = "save it again as a grey PNG, 0 for the background and 255 for the portrait"
    with opened(path, "mask", cure) as picture:
        if size is not None and picture.size != (size[1], size[0]):
            raise LabelerError(
                f"{path} is {picture.width}x{picture.height} but the frame is "
                f"{size[1]}x{size[0]}; give a mask of exactly the frame's size."
            )
        pixels = _values(picture)
    foreground: Mask = np.not_equal(pixels, 0)
    highest = pixels.max()
    if pixels.min() != highest and not np.equal(foreground, pixels == highest).all():
        raise LabelerError(
            f"{path} has {len(np.unique(pixels))} values where a mask has two, 0 for background "
            "and one for the portrait; apply a threshold and save it again without smoothing."
        )
    return foreground


def read_note(path: Path) -> str | None:
    """Return the note that `encode_mask` put into the file, or None if there is none."""
    try:
        with Pillow.open(path) as picture:
            note = picture.info.get("mvps")
    except (OSError, SyntaxError, ValueError):
        return None
    return note if isinstance(note, str) else None


def mask_digest(mask: Mask) -> str:
    """Compute the SHA-256 of a mask's size and pixels, 64 hex digits, independent of any file."""
    height, width = mask.shape
    return hashlib.sha256(b"%d %d " % (height, width) + np.packbits(mask).tobytes()).hexdigest()


def _values(picture: Pillow.Image) -> NDArray[np.integer[Any]]:
    """Return one number per pixel, 0 for the background: an index, a grey level or a colour."""
    if picture.mode == "1":
        return np.asarray(picture).view(np.uint8)
    if picture.mode == "P":
        return palette_values(picture)
    if picture.mode in {"L", "I", "I;16"}:
        return np.asarray(picture)
    return opaque_values(picture) if "A" in picture.getbands() else rgb_values(picture)
