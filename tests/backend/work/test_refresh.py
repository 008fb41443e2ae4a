"""The rules that never break, where corrections meet predictions."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.work.preannotate import refresh
from labeler.errors import LabelerError
from labeler.reference import nearest_and_first
from labeler.review.correction import record_correction
from labeler.revision import Draft, Provenance
from labeler.workspace.integrity import faults, open_workspace
from model.engines.baselines.baselines import NearestCopy
from model.segmenter import Segmentation
from tests.workspaces import file_bytes, make_clip, square

ROOT = Path(__file__).parents[3]


class Scripted:
    """An engine whose masks tell by their area which frame and how many references there were."""

    def __init__(self, model_version="scripted-1.0.0+00000001", before=lambda frame: None):
        self.model_version = model_version
        self.before = before
        self.asked: list[int] = []

    choice = staticmethod(nearest_and_first)

    def segment(self, frames, targets, references):
        for target in targets:
            self.before(target)
            self.asked.append(target)
            probability = np.zeros(frames[target].shape[:2], np.float32)
            probability[0, : 1 + len(references.references_for(target))] = 0.9
            probability[1, : 1 + target] = 0.9
            yield Segmentation(target, probability, 0.125)


def predicted(workspace, clip) -> list[int]:
    current = workspace.current(clip)
    return [f for f, r in current.items() if r.provenance is Provenance.PREDICTED]


def test_every_key_frame_is_masked_and_a_second_run_changes_nothing(workspace):
    clip = make_clip(workspace, frame_count=31)
    engine = Scripted()
    done = refresh(workspace, clip, engine)
    assert done.segmented == tuple(clip.key_frames) == (0, 5, 10, 15, 20, 25, 30)
    assert done.kept == 0
    assert done.ms_per_frame > 0
    before = file_bytes(workspace.root / "clips")
    again = refresh(workspace, clip, engine)
    assert (again.segmented, again.kept) == ((), 7)
    assert engine.asked == list(clip.key_frames)
    assert file_bytes(workspace.root / "clips") == before
    (revision,) = workspace.revisions(clip, 10)
    assert revision.model_version == engine.model_version
    assert revision.uncertainty == 0.125


def test_a_correction_refreshes_exactly_what_it_can_help(workspace):
    clip = make_clip(workspace, frame_count=61)
    engine = Scripted()
    refresh(workspace, clip, engine)
    record_correction(workspace, clip, 20, square(20), Draft("ann"))
    refresh(workspace, clip, engine)
    record_correction(workspace, clip, 40, square(40), Draft("ann"))
    refresh(workspace, clip, engine)
    before = file_bytes(workspace.root / "clips")
    engine.asked.clear()
    record_correction(workspace, clip, 30, square(30), Draft("bob"))
    done = refresh(workspace, clip, engine, keep_other_weights=True)
    assert engine.asked == [25, 35]
    assert done.segmented == (25, 35)
    after = file_bytes(workspace.root / "clips")
    assert {path: after[path] for path in before} == before  # append-only
    new = {path.split("/")[2] for path in after.keys() - before.keys()}
    assert new == {"00025", "00030", "00035"}


def test_no_refresh_touches_a_persons_mask(workspace):
    clip = make_clip(workspace, frame_count=31)
    human = record_correction(workspace, clip, 10, square(10), Draft("ann")).revision
    for version in ("a-1.0.0+1", "b-1.0.0+2"):
        refresh(workspace, clip, Scripted(version))
    assert workspace.revisions(clip, 10) == [human]
    assert np.array_equal(workspace.read(workspace.current(clip)[10]), square(10))


def test_a_mask_that_arrives_in_the_middle_wins_and_is_taken_up(workspace):
    clip = make_clip(workspace, frame_count=21)
    arrived = []

    def submit(frame):
        if frame == 10 and not arrived:
            arrived.append(record_correction(workspace, clip, 10, square(10), Draft("ann")))

    engine = Scripted(before=submit)
    refresh(workspace, clip, engine)
    assert workspace.current(clip)[10] == arrived[0].revision
    book = workspace.references(clip)
    for frame in predicted(workspace, clip):
        assert workspace.current(clip)[frame].references == book.digest_for(frame)
    # the same masks as if the correction had been there from the start
    other = make_clip(workspace, "other", frame_count=21)
    record_correction(workspace, other, 10, square(10), Draft("ann"))
    refresh(workspace, other, Scripted())
    for frame, revision in workspace.current(other).items():
        assert revision.digest == workspace.current(clip)[frame].digest


def test_new_weights_mask_again_but_a_correction_keeps_other_weights(workspace):
    clip = make_clip(workspace, frame_count=31)
    refresh(workspace, clip, Scripted("a-1.0.0+1"))
    new = Scripted("b-1.0.0+2")
    assert refresh(workspace, clip, new, keep_other_weights=True).segmented == ()
    assert refresh(workspace, clip, new).segmented == tuple(clip.key_frames)
    assert {r.model_version for r in workspace.current(clip).values()} == {"b-1.0.0+2"}


def test_an_empty_mask_never_silently_replaces_another(workspace):
    clip = make_clip(workspace)
    refresh(workspace, clip, Scripted())
    empty = np.zeros((clip.height, clip.width), bool)
    before = file_bytes(workspace.root / "clips")
    with pytest.raises(LabelerError, match=r"empty but its present one has .* --allow-empty"):
        record_correction(workspace, clip, 5, empty, Draft("ann"))
    assert file_bytes(workspace.root / "clips") == before
    record_correction(workspace, clip, 5, empty, Draft("ann"), allow_empty=True)
    assert workspace.current(clip)[5].area == 0
    done = refresh(workspace, clip, NearestCopy())
    assert done.emptied == (0, 10, 15)  # and a prediction that becomes empty is told


def test_an_empty_mask_of_a_frame_without_one_needs_no_permission(workspace):
    clip = make_clip(workspace)
    empty = np.zeros((clip.height, clip.width), bool)
    assert record_correction(workspace, clip, 5, empty, Draft("ann")).revision.area == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from backend.work.preannotate import refresh
from labeler.workspace.workspace import Workspace
from tests.backend.work.test_refresh import Scripted

def die(frame):
    if frame == 20:
        os.kill(os.getpid(), signal.SIGKILL)

workspace = Workspace(Path(sys.argv[1]))
refresh(workspace, workspace.clip("walk"), Scripted(before=die))
"""


def test_a_killed_run_is_resumed_where_it_stopped(workspace):
    clip = make_clip(workspace, frame_count=41)
    human = record_correction(workspace, clip, 5, square(5), Draft("ann")).revision
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(workspace.root)], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    again, _ = open_workspace(workspace.root)
    assert set(again.current(clip)) == {0, 5, 10, 15}
    engine = Scripted()
    done = refresh(again, clip, engine)
    assert done.segmented == (20, 25, 30, 35, 40)
    assert again.revisions(clip, 5) == [human]
    assert faults(again, deep=True) == []
    again.close()
