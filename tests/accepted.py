"""Clips that can be told apart, with accepted masks: a bright figure before its own background."""

import hashlib
from fractions import Fraction

import cv2
import numpy as np

from labeler.clip import Clip, Image, Scenario, frame_name
from labeler.mask import Mask
from labeler.revision import Draft, Provenance
from labeler.workspace.workspace import Workspace

SIZE = (96, 128)
FRAMES = 11


def figure(frame: int, seed: int) -> Mask:
    """The truth of a frame: an ellipse that walks to the right."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.ellipse(mask, (30 + seed % 30 + 2 * frame, 50), (16, 30), 0, 0, 360, 1, cv2.FILLED)
    return mask > 0


def picture(frame: int, seed: int) -> Image:
    """A dark, blotchy background of its own for each seed, and the figure."""
    blotches = np.random.default_rng(seed).integers(0, 120, (6, 8, 3), np.uint8)
    image = np.asarray(cv2.resize(blotches, SIZE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    image[figure(frame, seed)] = (180, 200, 240)
    return image


def accepted_clip(
    workspace: Workspace,
    name: str,
    seed: int,
    *,
    wrong: bool = False,
    scenario: Scenario = Scenario.NEWS,
    scale: float = 1.0,
    first: int = 0,
    masked: bool = True,
) -> Clip:
    """Add a clip; its masks, if there are to be any, are accepted, right or wrong ones."""
    height, width = (round(side * scale) for side in SIZE)
    digest = hashlib.sha256(name.encode()).hexdigest()
    clip = Clip(name, scenario, FRAMES, Fraction(25), width, height, f"{name}.mp4", digest)
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        for frame in range(FRAMES):
            image = cv2.resize(picture(first + frame, seed), (width, height))
            path = folder / "frames" / f"{frame_name(frame)}.jpg"
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 80 if scale != 1 else 95])
        workspace.add_clip(clip, folder)
    for frame in clip.key_frames if masked else ():
        truth = figure(first + frame, seed) ^ wrong
        mask = cv2.resize(truth.astype(np.uint8), (width, height)) > 0
        workspace.record(clip, frame, mask, Draft("ann", Provenance.ACCEPTED))
    return clip
