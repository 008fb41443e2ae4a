"""The picture below a task: the key frames before and after it, with their masks."""

import cv2
import numpy as np

from labeler.clip import Clip, Image, encode_jpeg, frame_name, read_image
from labeler.inspect.preview import overlay
from labeler.revision import Revision, counting
from labeler.workspace.workspace import Workspace

HEIGHT, WIDEST = 270, 480
"""Pixels of one key frame at most; twice as many as are shown, for fine screens."""

CAPTION, GAP = 30, 12
PAPER, INK = (252, 253, 253), (60, 50, 50)
"""Blue-green-red."""


def neighbours(clip: Clip, frame: int) -> list[tuple[str, int]]:
    """Return the key frames beside a frame with the words for them; one at an end of the clip."""
    before = [each for each in clip.key_frames if each < frame][-1:]
    after = [each for each in clip.key_frames if each > frame][:1]
    return [("before", each) for each in before] + [("after", each) for each in after]


def neighbours_picture(
    clip: Clip, frame: int, revisions: dict[int, list[Revision]], workspace: Workspace
) -> bytes:
    """Draw the key frames before and after a frame, in this order, with the masks that count.

    Returns:
        A JPEG.

    Raises:
        LabelerError: a picture or a mask is missing or damaged.
    """
    drawn = []
    for words, index in neighbours(clip, frame):
        image = read_image(workspace.frames(clip).folder / f"{frame_name(index)}.jpg")
        width = max(1, min(WIDEST, round(HEIGHT * clip.width / clip.height)))
        mask = counting(revisions.get(index, []))
        shown = np.zeros(image.shape[:2], np.bool_) if mask is None else workspace.read(mask)
        drawn.append(_captioned(overlay(image, shown, width), f"{words}: {index}"))
    if not drawn:  # a clip of one key frame has no neighbours
        drawn.append(np.full((1, 1, 3), PAPER, np.uint8))
    gap = np.full((drawn[0].shape[0], GAP, 3), PAPER, np.uint8)
    return encode_jpeg(np.hstack([drawn[0], *(part for x in drawn[1:] for part in (gap, x))]), 85)


def _captioned(picture: Image, text: str) -> Image:
    """Write above a picture what it is; a narrow one gets paper beside it, for the words."""
    wide = max(picture.shape[1], 160)
    paper = np.full((picture.shape[0] + CAPTION, wide, 3), PAPER, np.uint8)
    paper[CAPTION:, : picture.shape[1]] = picture
    cv2.putText(paper, text, (0, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.75, INK, 1, cv2.LINE_AA)
    return paper
