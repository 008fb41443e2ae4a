"""A whole real clip, labeled through Label Studio with its true masks, and what is exported."""

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np

from backend.settings import Settings
from backend.stack import running
from labeler.clip import Clip, Scenario, frame_name, read_image
from labeler.mask import Mask, read_mask
from labeler.metrics import region_similarity
from labeler.workspace import Workspace
from tests.studio.annotator import Annotator

NAME = "rollerblade"


def real_clip(workspace: Workspace, video: Path) -> Clip:
    pictures = sorted((video / "JPEGImages" / "480p" / NAME).glob("*.jpg"))
    height, width = read_image(pictures[0]).shape[:2]
    clip = Clip(
        name=NAME,
        scenario=Scenario.OUTDOOR_ACTIVITY,
        frame_count=len(pictures),
        fps=Fraction(24),
        width=width,
        height=height,
        source=NAME,
        sha256="0" * 64,
    )
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        for index, picture in enumerate(pictures):
            shutil.copy(picture, folder / "frames" / f"{frame_name(index)}.jpg")
        workspace.add_clip(clip, folder)
    return clip


def test_a_real_clip_is_labeled_and_exported(shared_data: Path, tmp_path: Path) -> None:
    video = shared_data / "video"
    workspace = Workspace(tmp_path / "workspace")
    clip = real_clip(workspace, video)
    truths: dict[int, Mask] = {
        frame: read_mask(video / "Annotations" / "480p" / NAME / f"{frame_name(frame)}.png")
        for frame in clip.key_frames
    }
    with running(Settings(workspace=workspace.root), [], print) as stack:
        annotator = Annotator(stack, workspace)
        annotator.wait_until_quiet(240)
        before = {frame: annotator.shown(NAME, frame) for frame in clip.key_frames}
        annotator.submit(NAME, 15, truths[15])
        annotator.wait_until_quiet(240)
        after = annotator.all_shown(NAME)
        assert not all(np.array_equal(after[frame], before[frame]) for frame in (10, 20))
        better = [
            region_similarity(after[frame], truths[frame])
            - region_similarity(before[frame], truths[frame])
            for frame in (10, 20)
        ]
        assert np.mean(better) > 0, "a correction repairs its neighbours"
        for frame, truth in truths.items():
            if frame != 15:
                annotator.submit(NAME, frame, truth)
        annotator.wait_until_quiet(240)
        dataset = tmp_path / "dataset"
        stack.run("export", str(dataset), "--include-unreviewed")
        stack.run("validate", str(dataset))
        annotator.studio.close()
    for frame, truth in truths.items():
        exported = dataset / "Annotations" / "Full-Resolution" / NAME / f"{frame_name(frame)}.png"
        np.testing.assert_array_equal(read_mask(exported), truth)
    assert len(list((dataset / "Annotations" / "480p" / NAME).glob("*.png"))) == len(truths)
    workspace.close()
