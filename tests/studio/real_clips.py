"""Real clips of people with their true masks, as clips of a workspace."""

import shutil
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

from labeler.clip import Clip, Scenario, frame_name, read_image
from labeler.mask import Mask, read_mask
from labeler.workspace.workspace import Workspace


def real_clip(workspace: Workspace, video: Path, name: str) -> Clip:
    """Add a clip of DAVIS."""
    pictures = sorted((video / "JPEGImages" / "480p" / name).glob("*.jpg"))
    height, width = read_image(pictures[0]).shape[:2]
    clip = Clip(
        name=name,
        scenario=Scenario.OUTDOOR_ACTIVITY,
        frame_count=len(pictures),
        fps=Fraction(24),
        width=width,
        height=height,
        source=name,
        sha256=sha256(name.encode()).hexdigest(),
    )
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        for index, picture in enumerate(pictures):
            shutil.copy(picture, folder / "frames" / f"{frame_name(index)}.jpg")
        workspace.add_clip(clip, folder)
    return clip


def true_masks(video: Path, clip: Clip) -> dict[int, Mask]:
    """The true masks of a clip's key frames."""
    folder = video / "Annotations" / "480p" / clip.name
    return {frame: read_mask(folder / f"{frame_name(frame)}.png") for frame in clip.key_frames}
