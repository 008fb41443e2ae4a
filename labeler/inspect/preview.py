"""Draws masks: a preview page per clip, and the picture of two masks in conflict."""

import base64
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import jinja2
import numpy as np

from labeler.clip import Clip, Image, encode_jpeg
from labeler.files import write_atomically
from labeler.mask import Mask
from labeler.revision import Provenance, Revision
from labeler.workspace.workspace import Workspace

TINT = (0, 128, 255)
"""The colour of a mask on a frame, blue-green-red: an orange unlike skin and grass."""

THUMBNAIL_WIDTH = 400
"""The width of a picture on the page, in pixels; 50 key frames make a page of about 2 MB."""


@dataclass(frozen=True)
class _Card:
    """One key frame on the page; `area` is a share of the frame, `x` its position on the strip."""

    frame: int
    seconds: float
    revision: Revision | None
    area: float
    picture: str
    x: float

    @property
    def provenance(self) -> str:
        return "none" if self.revision is None else self.revision.provenance.name.lower()

    @property
    def uncertainty(self) -> float | None:
        return None if self.revision is None else self.revision.uncertainty


def overlay(image: Image, mask: Mask, width: int | None = None) -> Image:
    """Draw a mask on a picture: tinted inside, with a clear line along its edge.

    Args:
        image: H x W x 3 uint8 BGR.
        mask: H x W bool.
        width: scale the result to this many pixels across; None keeps the size.

    Returns:
        A new picture, uint8 BGR.
    """
    inside = mask.astype(np.uint8)
    if width is not None:
        size = (width, max(1, round(width * image.shape[0] / image.shape[1])))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        covered = np.asarray(cv2.resize(inside * 255, size, interpolation=cv2.INTER_AREA))
        inside = np.greater(covered, 127).astype(np.uint8)
    drawn = image.copy()
    tinted = 0.55 * image + 0.45 * np.array(TINT)
    drawn[inside != 0] = tinted[inside != 0].astype(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, TINT, max(1, drawn.shape[1] // 400))
    return drawn


def write_preview(
    workspace: Workspace,
    clip: Clip,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a clip's preview page to `path`: one HTML file that needs no other file.

    Args:
        workspace: where the clip is.
        clip: the clip.
        path: the HTML file; its folder is made.
        progress: called with (key frames drawn, key frames).
    """
    current = workspace.current(clip)
    cards = []
    with ThreadPoolExecutor(2) as pool:
        drawing = pool.map(partial(_card, workspace, clip, current), clip.key_frames)
        for card in drawing:
            cards.append(card)
            if progress is not None:
                progress(len(cards), len(clip.key_frames))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("labeler"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = Counter(card.provenance for card in cards)
    page = environment.get_template("preview.html").render(
        clip=clip,
        cards=cards,
        counts={name: counts[name] for name in _LEGEND if counts[name]},
        legend=_LEGEND,
        versions=sorted({r.model_version for r in current.values() if r.model_version}),
        largest_area=max([card.area for card in cards if card.revision], default=0) or 1,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, page.encode())


_LEGEND = {
    Provenance.PREDICTED.name.lower(): "predicted by the network",
    Provenance.CONFIRMED.name.lower(): "confirmed by a person",
    Provenance.CORRECTED.name.lower(): "corrected by a person",
    Provenance.CHECKED.name.lower(): "checked by a second person",
    Provenance.ACCEPTED.name.lower(): "accepted",
    "none": "no mask yet",
}


def _card(workspace: Workspace, clip: Clip, current: dict[int, Revision], frame: int) -> _Card:
    revision = current.get(frame)
    image = workspace.frames(clip)[frame]
    mask = np.zeros(image.shape[:2], bool) if revision is None else workspace.read(revision)
    drawn = overlay(image, mask, THUMBNAIL_WIDTH)
    return _Card(
        frame=frame,
        seconds=float(frame / clip.fps),
        revision=revision,
        area=float(mask.mean()),
        picture=base64.b64encode(encode_jpeg(drawn, 80)).decode(),
        x=1000 * clip.key_frames.index(frame) / len(clip.key_frames),
    )


FIRST, SECOND, BOTH = (0, 159, 230), (233, 180, 86), (115, 158, 0)
"""The colours, blue-green-red, of pixels that only the first person masked, only the second, or
both. People with colour blindness can tell them apart, too."""

WIDTH = 480
"""The width of each of the three pictures, in pixels."""


def conflict_picture(image: Image, first: Mask, second: Mask) -> Image:
    """Draw a frame three times, side by side, as `conflict_panels` does."""
    return np.asarray(np.hstack(conflict_panels(image, first, second)), np.uint8)


def conflict_panels(image: Image, first: Mask, second: Mask) -> list[Image]:
    """Draw a frame three times: with the first mask, with the second, and with their difference.

    Args:
        image: the frame, H x W x 3.
        first: H x W bool.
        second: H x W bool.

    Returns:
        The three pictures, each `WIDTH` wide; the frame is grey in the last one.
    """
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    panels = [
        _tinted(image, [(first, FIRST)]),
        _tinted(image, [(second, SECOND)]),
        _tinted(
            np.asarray(grey, np.uint8),
            [(first & ~second, FIRST), (second & ~first, SECOND), (first & second, BOTH)],
        ),
    ]
    height = max(1, round(image.shape[0] * WIDTH / image.shape[1]))
    return [
        np.asarray(cv2.resize(each, (WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)
        for each in panels
    ]


def _tinted(image: Image, layers: list[tuple[Mask, tuple[int, int, int]]]) -> Image:
    drawn = image.copy()
    thickness = max(1, round(image.shape[1] / 320))
    for mask, colour in layers:
        drawn[mask] = (0.55 * drawn[mask] + 0.45 * np.array(colour)).astype(np.uint8)
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, found, -1, colour, thickness)
    return drawn
