from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.revision import Draft, Provenance, Revision, counting
from labeler.workspace.workspace import Workspace
from tests.workspaces import SIZE, file_bytes, make_clip, square


def predict(workspace, clip, frame, mask, references="r", model_version="m"):
    return workspace.record_prediction(
        clip, frame, mask, model_version=model_version, references=references, uncertainty=0.25
    )


def test_a_clip_comes_back_as_it_was_added(workspace):
    clip = make_clip(workspace)
    assert workspace.clips() == [clip]
    assert workspace.clip("walk") == clip
    assert list(clip.key_frames) == [0, 5, 10, 15]
    frames = workspace.frames(clip)
    assert len(frames) == 16
    bright = frames[7].mean(axis=2) > 120
    assert (bright == square(7)).mean() > 0.97
    with pytest.raises(IndexError):
        frames[16]


def test_the_folder_explains_itself(workspace):
    clip = make_clip(workspace)
    text = (workspace.clip_folder("walk") / "clip.json").read_text()
    assert Clip.from_json(text) == clip


def test_the_same_source_or_name_is_refused_and_nothing_is_left(workspace):
    clip = make_clip(workspace)
    before = file_bytes(workspace.root / "clips")
    with workspace.scratch() as folder, pytest.raises(LabelerError, match="as clip 'walk'"):
        workspace.add_clip(replace(clip, name="again"), folder)
    with workspace.scratch() as folder, pytest.raises(LabelerError, match="already a clip 'walk'"):
        workspace.add_clip(replace(clip, sha256="f" * 64), folder)
    assert file_bytes(workspace.root / "clips") == before
    assert list(workspace.pending.iterdir()) == []


def test_an_unknown_clip_is_named_with_those_there_are(workspace):
    make_clip(workspace)
    with pytest.raises(LabelerError, match=r"no clip 'run'.*walk"):
        workspace.clip("run")


def test_revisions_are_only_ever_appended(workspace):
    clip = make_clip(workspace)
    first = predict(workspace, clip, 5, square(5))
    before = file_bytes(workspace.root / "clips")
    second = workspace.record(clip, 5, square(6), Draft("ann"))
    third = workspace.record(clip, 5, square(7), Draft("bob", Provenance.CHECKED))
    after = file_bytes(workspace.root / "clips")
    assert {path: after[path] for path in before} == before
    assert [r.number for r in (first, second, third)] == [1, 2, 3]
    assert workspace.revisions(clip, 5) == [first, second, third]
    assert workspace.revisions(clip) == [first, second, third]
    assert np.array_equal(workspace.read(first), square(5))
    assert np.array_equal(workspace.read(third), square(7))
    assert datetime.now(UTC) - third.created < timedelta(minutes=1)
    assert (first.area, first.uncertainty, first.model_version) == (square(5).sum(), 0.25, "m")
    assert (third.author, third.provenance) == ("bob", Provenance.CHECKED)


def test_a_persons_mask_counts_and_no_prediction_follows_it(workspace):
    clip = make_clip(workspace)
    human = workspace.record(clip, 5, square(6), Draft("ann"))
    before = file_bytes(workspace.root / "clips")
    assert predict(workspace, clip, 5, square(9)) is None
    assert file_bytes(workspace.root / "clips") == before
    assert workspace.current(clip) == {5: human}
    assert list(workspace.pending.iterdir()) == []


def test_the_same_mask_by_the_same_person_is_recorded_once(workspace):
    clip = make_clip(workspace)
    first = workspace.record(clip, 5, square(6), Draft("ann"))
    assert workspace.record(clip, 5, square(6), Draft("ann")) == first
    assert workspace.record(clip, 5, square(6), Draft("bob")).number == 2
    assert workspace.record(clip, 5, square(6), Draft("ann")).number == 3


def test_the_last_persons_mask_counts_else_the_last_prediction(workspace):
    def revision(number, provenance):
        now = datetime.now(UTC)
        return Revision("c", 0, number, provenance, "", "", "", None, "", 0, now)

    predicted, corrected, checked = (
        revision(i, p) for i, p in enumerate(list(Provenance)[:3], start=1)
    )
    late = revision(4, Provenance.PREDICTED)
    again = revision(5, Provenance.CORRECTED)
    assert counting([]) is None
    assert counting([predicted]) == predicted
    assert counting([predicted, late]) == late
    assert counting([predicted, corrected, late]) == corrected
    assert counting([predicted, corrected, checked, late]) == checked
    assert counting([predicted, checked, again]) == again


def test_every_frame_with_a_persons_mask_is_a_reference(workspace):
    clip = make_clip(workspace)
    predict(workspace, clip, 5, square(5))
    workspace.record(clip, 10, square(10), Draft("ann"))
    book = workspace.references(clip)
    assert book.corrected(5) is None
    assert [r.frame for r in book.references_for(15)] == [0, 10]
    assert np.array_equal(book.corrected(10).mask, square(10))


@pytest.mark.parametrize("frame", [-5, 3, 16, 20])
def test_only_key_frames_get_masks(workspace, frame):
    clip = make_clip(workspace)
    with pytest.raises(LabelerError, match="no key frame"):
        workspace.record(clip, frame, square(0), Draft("ann"))


def test_a_mask_of_another_size_is_refused(workspace):
    clip = make_clip(workspace)
    with pytest.raises(LabelerError, match="128x97 cannot belong to walk"):
        workspace.record(clip, 0, np.zeros((SIZE[0] + 1, SIZE[1]), bool), Draft("ann"))
    assert workspace.current(clip) == {}


def test_a_place_that_cannot_be_a_workspace_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LabelerError, match="cannot be a workspace"):
        Workspace(tmp_path / "file")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "mvps.db").write_text("this is no database" * 100)
    with pytest.raises(LabelerError, match=r"mvps\.db is damaged; put back a copy"):
        Workspace(tmp_path / "bad")


def test_another_database_may_hold_the_rows(tmp_path):
    workspace = Workspace(tmp_path / "w", f"sqlite:///{tmp_path / 'elsewhere.db'}")
    make_clip(workspace)
    workspace.close()
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "w" / "mvps.db").exists()
