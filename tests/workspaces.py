"""Small real workspaces: made clips of a bright square that moves over noise."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from labeler.clip import Clip, Image, Scenario, frame_name
from labeler.mask import Mask
from labeler.workspace.workspace import Workspace

SIZE = (96, 128)
"""Height and width of the made frames."""


def square(frame: int, size: tuple[int, int] = SIZE) -> Mask:
    """The truth of a made frame."""
    mask = np.zeros(size, bool)
    mask[20 : size[0] // 2, 10 + frame : 40 + frame] = True
    return mask


def picture(frame: int, size: tuple[int, int] = SIZE) -> Image:
    noise = np.random.default_rng(7).integers(0, 90, (*size, 3), np.uint8)
    noise[square(frame, size)] += 150
    return noise


def make_clip(
    workspace: Workspace,
    name: str = "walk",
    frame_count: int = 16,
    size: tuple[int, int] = SIZE,
    scenario: Scenario = Scenario.LECTURE,
) -> Clip:
    clip = Clip(
        name=name,
        scenario=scenario,
        frame_count=frame_count,
        fps=Fraction(24000, 1001),
        width=size[1],
        height=size[0],
        source=f"{name}.mp4",
        sha256=f"{name:0<64}"[:64],
    )
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        for index in range(frame_count):
            path = folder / "frames" / f"{frame_name(index)}.jpg"
            cv2.imwrite(str(path), picture(index, size))
        workspace.add_clip(clip, folder)
    return clip


def make_bare_clip(workspace: Workspace, name: str = "bare", key_frames: int = 1000) -> Clip:
    """A clip that has no pictures, for tests that need many frames and look at none."""
    height, width = SIZE
    clip = Clip(
        name, Scenario.NEWS, 5 * key_frames, Fraction(25), width, height, f"{name}.mp4", f"{name}00"
    )
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        workspace.add_clip(clip, folder)
    return clip


def file_bytes(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, to compare before and after."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
