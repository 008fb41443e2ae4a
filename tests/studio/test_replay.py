"""A whole real clip, labeled through Label Studio with its true masks, and what is exported."""

from pathlib import Path

import numpy as np

from backend.cli.stack import running
from backend.settings import Settings
from labeler.clip import frame_name
from labeler.mask import read_mask
from labeler.metrics import region_similarity
from labeler.workspace.workspace import Workspace
from tests.studio.annotator import Annotator
from tests.studio.real_clips import real_clip, true_masks

NAME = "rollerblade"


def test_a_real_clip_is_labeled_and_exported(shared_data: Path, tmp_path: Path) -> None:
    video = shared_data / "video"
    workspace = Workspace(tmp_path / "workspace")
    clip = real_clip(workspace, video, NAME)
    truths = true_masks(video, clip)
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
