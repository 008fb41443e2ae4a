"""Pictures for a clip's page: frames and masks, small enough to be played."""

from pathlib import Path

import cv2
import numpy as np

from labeler.clip import Clip, encode_jpeg
from labeler.errors import LabelerError
from labeler.mask import Mask

PLAYED_SIDE = 960
"""Pictures that are played are at least this long on the long side, in pixels, if the clip is."""

PLAYED_QUALITY = 85

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
"""JPEG decoders reduce by these numbers faster than they decode the whole picture."""


def reduction(clip: Clip) -> int:
    """Return by how much the frames of a clip are reduced to be played: 1, 2, 4 or 8."""
    side = max(clip.width, clip.height)
    return max(each for each in _REDUCED if each == 1 or side / each >= PLAYED_SIDE)


def reduced_frame(path: Path, by: int) -> bytes:
    """Read a frame's picture and return it as a JPEG with sides that are `by` times shorter.

    Raises:
        LabelerError: the picture is missing or damaged.
    """
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = None
    if data.size:
        image = cv2.imdecode(data, _REDUCED[by] | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise LabelerError(f"{path} is missing or no picture; run `mvps doctor`.")
    return encode_jpeg(np.asarray(image, np.uint8), PLAYED_QUALITY)


def mask_picture(mask: Mask, by: int) -> bytes:
    """Return a mask as a white PNG whose opacity is the mask, with sides `by` times shorter.

    Args:
        mask: H x W bool.
        by: 1, 2, 4 or 8.
    """
    opacity = mask.astype(np.uint8) * 255
    if by > 1:
        height, width = mask.shape
        size = (-(-width // by), -(-height // by))
        opacity = np.asarray(cv2.resize(opacity, size, interpolation=cv2.INTER_AREA), np.uint8)
    white = np.full((*opacity.shape, 3), 255, np.uint8)
    encoded = cv2.imencode(".png", np.dstack([white, opacity]))[1]
    return encoded.tobytes()
