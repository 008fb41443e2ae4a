"""The pictures beside a task: the key frames around it with their masks, or two masks of it."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from labeler.clip import Clip, Image, encode_jpeg, frame_name, read_image
from labeler.inspect.preview import conflict_panels, overlay
from labeler.review.standing import standing
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


@dataclass(frozen=True)
class TaskPicture:
    """A picture for a task: the digests of the masks that it shows, and what draws it as JPEG.

    Drawing raises LabelerError if a picture or a mask is missing or damaged.
    """

    shows: tuple[str | None, ...]
    draw: Callable[[], bytes]


def neighbours_picture(
    clip: Clip, frame: int, revisions: dict[int, list[Revision]], workspace: Workspace
) -> TaskPicture:
    """Make the picture of the key frames before and after a frame, with the masks that count."""
    shown = [
        (words, index, counting(revisions.get(index, [])))
        for words, index in neighbours(clip, frame)
    ]

    def draw() -> bytes:
        drawn = []
        for words, index, mask in shown:
            image = _image(workspace, clip, index)
            width = max(1, min(WIDEST, round(HEIGHT * clip.width / clip.height)))
            here = np.zeros(image.shape[:2], np.bool_) if mask is None else workspace.read(mask)
            drawn.append(_captioned(overlay(image, here, width), f"{words}: {index}"))
        if not drawn:  # a clip of one key frame has no neighbours
            drawn.append(np.full((1, 1, 3), PAPER, np.uint8))
        gap = np.full((drawn[0].shape[0], GAP, 3), PAPER, np.uint8)
        parts = [drawn[0], *(part for x in drawn[1:] for part in (gap, x))]
        return encode_jpeg(np.hstack(parts), 85)

    return TaskPicture(tuple(None if each is None else each.digest for *_, each in shown), draw)


def both_masks_picture(
    clip: Clip, frame: int, revisions: dict[int, list[Revision]], workspace: Workspace
) -> TaskPicture:
    """Make the picture of two masks in conflict: each of them, and where they differ.

    For a frame that is in no conflict it is a single empty pixel.
    """
    found = standing(revisions.get(frame, []))
    first, second = found.first, found.second
    if first is None or second is None:
        return TaskPicture((), lambda: encode_jpeg(np.full((1, 1, 3), PAPER, np.uint8), 85))

    def draw() -> bytes:
        masks = workspace.read(first), workspace.read(second)
        panels = conflict_panels(_image(workspace, clip, frame), *masks)
        captions = ("first mask", "second mask", "where they differ")
        drawn = [_captioned(*each) for each in zip(panels, captions, strict=True)]
        return encode_jpeg(np.hstack(drawn), 85)

    return TaskPicture((first.digest, second.digest), draw)


def _image(workspace: Workspace, clip: Clip, frame: int) -> Image:
    return read_image(workspace.frames(clip).folder / f"{frame_name(frame)}.jpg")


def _captioned(picture: Image, text: str) -> Image:
    """Write above a picture what it is; a narrow one gets paper beside it, for the words."""
    wide = max(picture.shape[1], 160)
    paper = np.full((picture.shape[0] + CAPTION, wide, 3), PAPER, np.uint8)
    paper[CAPTION:, : picture.shape[1]] = picture
    cv2.putText(paper, text, (0, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.75, INK, 1, cv2.LINE_AA)
    return paper
