"""A correction of a real clip carried by both networks, through Label Studio."""

from pathlib import Path

import numpy as np

from backend.cli.stack import running
from backend.settings import Settings
from labeler.metrics import region_similarity
from labeler.revision import Provenance
from labeler.workspace.workspace import Workspace
from model.card import read_card
from model.engine import bundled_weights
from tests.studio.annotator import Annotator
from tests.studio.real_clips import real_clip, true_masks

NAME, CORRECTED = "dance-jump", 30


def test_a_correction_is_carried_by_both_networks(shared_data: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    clip = real_clip(workspace, shared_data / "video", NAME)
    truth = true_masks(shared_data / "video", clip)
    version = read_card(bundled_weights()["pair-small"]).model_version
    with running(Settings(workspace=workspace.root), ["--model", "pair-small"], print) as stack:
        ann = Annotator(stack, workspace)
        ann.wait_until_quiet(240)
        assert {ann.data(NAME, frame)["weights"] for frame in truth} == {version}
        before = ann.all_shown(NAME)
        ann.submit(NAME, CORRECTED, truth[CORRECTED])
        ann.wait_until_quiet(240)
        after = ann.all_shown(NAME)
        ann.studio.close()

    revision = workspace.current(clip)[CORRECTED]
    assert revision.provenance is Provenance.CORRECTED
    np.testing.assert_array_equal(workspace.read(revision), truth[CORRECTED])
    others = [frame for frame in truth if frame != CORRECTED]
    scores = [[region_similarity(shown[f], truth[f]) for f in others] for shown in (before, after)]
    assert np.mean(scores[1]) > np.mean(scores[0])
    workspace.close()
