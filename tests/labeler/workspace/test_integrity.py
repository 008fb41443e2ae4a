import json
import multiprocessing
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labeler.errors import LabelerError
from labeler.revision import Draft
from labeler.workspace.integrity import adopt_masks, faults, open_workspace
from labeler.workspace.workspace import Workspace
from tests.workspaces import file_bytes, make_clip, square

ROOT = Path(__file__).parents[3]


def crash_everywhere(folder: Path, action: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.labeler.crash_everywhere", str(folder), action],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_mask_survives_kill_at_every_line_whole_or_not_at_all(tmp_path):
    trials = crash_everywhere(tmp_path, "record")
    assert len(trials) > 40
    for trial in trials:
        assert trial["faults"] == trial["lost"] == trial["pending_after"] == trial["again"] == []
        assert trial["masks"] in ([[0, 1, "ann"]], [[0, 1, "ann"], [5, 1, "ann"]])
        if trial["notices"]:
            assert trial["pending_before"]
    outcomes = [(len(trial["masks"]), " ".join(trial["notices"])[:8]) for trial in trials]
    assert outcomes[0] == (1, "")  # killed before anything
    assert (1, "Dropped ") in outcomes  # killed while the file was written
    assert (2, "Finished") in outcomes  # killed with the file whole, before the row
    assert (2, "") in outcomes[:-1]  # killed after the row
    assert outcomes[-1] == (2, "")
    assert trials[-1]["survived"]


@pytest.mark.slow
def test_a_clip_survives_kill_at_every_line_whole_or_not_at_all(tmp_path):
    trials = crash_everywhere(tmp_path, "add")
    assert len(trials) > 30
    for trial in trials:
        assert trial["faults"] == trial["lost"] == trial["pending_after"] == trial["again"] == []
        assert trial["clips"] in (["walk"], ["new", "walk"])
    outcomes = [(len(trial["clips"]), " ".join(trial["notices"])[:8]) for trial in trials]
    assert outcomes[0] == (1, "")
    assert (1, "Removed ") in outcomes
    assert (2, "Took in ") in outcomes
    assert outcomes[-1] == (2, "")


def _record_many(root: Path, author: str, seed: int) -> None:
    workspace = Workspace(root)
    clip = workspace.clip("walk")
    chance = np.random.default_rng(seed)
    for turn in range(12):
        frame = int(chance.choice(clip.key_frames))
        mask = chance.random((clip.height, clip.width)) > 0.5
        if seed % 2:
            workspace.record(clip, frame, mask, Draft(f"{author} {turn}"))
        else:
            workspace.record_prediction(
                clip, frame, mask, model_version=author, references="", uncertainty=0.0
            )
    os._exit(0)


def test_several_processes_write_at_once_and_nothing_is_lost(workspace):
    clip = make_clip(workspace, frame_count=11)
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_record_many, args=(workspace.root, f"writer{i}", i))
        for i in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    revisions = workspace.revisions(clip)
    humans = {revision.author for revision in revisions if revision.provenance.human}
    assert humans == {f"writer{i} {turn}" for i in (1, 3) for turn in range(12)}
    for frame in clip.key_frames:
        ours = [revision for revision in revisions if revision.frame == frame]
        assert [revision.number for revision in ours] == list(range(1, len(ours) + 1))
        kinds = [revision.provenance.human for revision in ours]
        assert kinds == sorted(kinds)  # no prediction after a person's mask
    assert faults(workspace, deep=True) == []
    assert list(workspace.pending.iterdir()) == []


def test_what_a_live_process_is_writing_is_left_alone(workspace):
    make_clip(workspace)
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        again, notices = open_workspace(workspace.root)
        assert notices == []
        assert folder.exists()
        again.close()


def test_a_lost_database_is_made_anew_from_the_files(workspace):
    clip = make_clip(workspace)
    workspace.record_prediction(
        clip, 5, square(5), model_version="m", references="r", uncertainty=0.5
    )
    workspace.record(clip, 5, square(6), Draft("ann"))
    workspace.record(clip, 10, square(7), Draft("bob"))
    before, files = workspace.revisions(clip), file_bytes(workspace.root / "clips")
    workspace.close()
    for path in workspace.root.glob("mvps.db*"):
        path.unlink()
    again, notices = open_workspace(workspace.root)
    assert notices == ["Took in clip walk with 3 masks, which the database did not know."]
    assert again.clips() == [clip]
    assert again.revisions(clip) == before
    assert file_bytes(workspace.root / "clips") == files
    again.close()


def test_each_fault_is_named(workspace):
    clip = make_clip(workspace)
    for frame in clip.key_frames:
        workspace.record(clip, frame, square(frame), Draft("ann"))
    folder = workspace.clip_folder("walk")
    assert faults(workspace, deep=True) == []
    (folder / "frames" / "00003.jpg").unlink()
    (folder / "masks" / "00000" / "1.png").unlink()
    good = (folder / "masks" / "00005" / "1.png").read_bytes()
    (folder / "masks" / "00005" / "7.png").write_bytes(good)
    (folder / "masks" / "00010" / "1.png").write_bytes(good)
    (folder / "masks" / "00015" / "1.png").write_bytes(good[:40])
    named = faults(workspace, deep=True)
    assert len(named) == 5
    for expected in (
        r"frames/00003.jpg is missing \(1 frames",
        r"00000/1.png is missing",
        r"00005/7.png has no row",
        r"00010/1.png was changed after it was recorded",
        r"00015/1.png is not a readable mask",
    ):
        assert any(re.search(expected, fault) for fault in named), expected
    assert len(faults(workspace)) == 3  # the masks themselves are read only when asked


def test_a_mask_file_without_a_row_is_taken_in_when_asked(workspace):
    clip = make_clip(workspace)
    revision = workspace.record(clip, 5, square(5), Draft("ann"))
    path = workspace.mask_path(revision)
    path.with_name("4.png").write_bytes(path.read_bytes())
    path.with_name("5.png").write_text("not a mask")
    notices = adopt_masks(workspace, clip)
    assert [r.number for r in workspace.revisions(clip)] == [1, 4]
    assert [notice[-12:] for notice in notices] == ["(corrected).", "t elsewhere."]
    assert path.with_name("5.png").exists()


def test_folders_of_others_are_left_alone_and_named(workspace):
    stray = workspace.root / "clips" / "notes"
    stray.mkdir()
    (stray / "a.txt").write_text("mine")
    again, notices = open_workspace(workspace.root)
    [told] = notices
    assert told.startswith(f"{stray}: it is no clip of ours and was left alone; ")
    assert (stray / "a.txt").exists()
    again.close()


def test_a_clip_folder_in_the_way_is_named(workspace):
    (workspace.root / "clips" / "walk").mkdir()
    with pytest.raises(LabelerError, match="in the way"):
        make_clip(workspace)
