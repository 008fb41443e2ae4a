"""A video becomes a clip, or a clip for each shot; what is known of it stays with it."""

import json
import sqlite3
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from labeler.clip import Scenario, read_image
from labeler.collect.candidates import Candidate
from labeler.collect.ingest import Policy, add_video, look_for_cuts
from labeler.errors import LabelerError
from labeler.files import sha256_of
from labeler.layouts.mvps import open_dataset
from labeler.publish.export import export_mvps
from labeler.revision import Draft
from labeler.workspace.integrity import faults, open_workspace
from tests.labeler.shots import shot, write_pictures
from tests.labeler.videos import set_matrix
from tests.workspaces import file_bytes, make_clip

SPLIT = Policy(split_cuts=True)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three shots, of 40, 50 and 30 frames."""
    pictures = [*shot(1, 40), *shot(2, 50), *shot(3, 30)]
    return write_pictures(tmp_path_factory.mktemp("film") / "film.mp4", pictures)


def candidate(path, **known):
    return replace(Candidate.of(path, Scenario.NEWS), **known)


def left_behind(workspace):
    return [*workspace.pending.iterdir()]


def test_cuts_source_and_licence_stay_with_the_clip(workspace, film, tmp_path):
    known = candidate(film, name="mine", source="https://example.org/7", licence="CC BY 4.0")
    (clip,) = add_video(workspace, known).clips
    assert (clip.cuts, clip.source, clip.licence) == ((40, 90), known.source, known.licence)
    assert (clip.first_frame, clip.source_frames) == (0, None)
    workspace.close()
    for path in workspace.root.glob("mvps.db*"):
        path.unlink()
    again, _ = open_workspace(workspace.root)
    assert again.clips() == [clip]
    again.record(clip, 0, np.ones((clip.height, clip.width), bool), Draft("ann"))
    export_mvps(again, tmp_path / "dataset", include_unreviewed=True)
    (row,) = open_dataset(tmp_path / "dataset").clips
    assert (row.source, row.licence) == (known.source, known.licence)
    again.close()


def test_each_shot_is_a_clip_of_the_one_source(workspace, film):
    added = add_video(workspace, candidate(film), SPLIT)
    assert [clip.name for clip in added.clips] == ["film-1", "film-2", "film-3"]
    assert workspace.clips() == list(added.clips)
    assert [(clip.first_frame, clip.frame_count) for clip in added.clips] == [
        (0, 40),
        (40, 50),
        (90, 30),
    ]
    assert {(clip.sha256, clip.source, clip.source_frames, clip.cuts) for clip in added.clips} == {
        (sha256_of(film), "film.mp4", 120, ())
    }
    assert len({workspace.frames(clip).key for clip in added.clips}) == 3
    whole, _ = open_workspace(workspace.root.with_name("whole"))
    (clip,) = add_video(whole, candidate(film)).clips
    for part in added.clips:
        for number, place in enumerate(part.part):
            assert np.array_equal(workspace.frames(part)[number], whole.frames(clip)[place])
    whole.close()
    assert faults(workspace) == []
    assert left_behind(workspace) == []


def test_a_video_of_one_shot_keeps_its_name(workspace, tmp_path):
    path = write_pictures(tmp_path / "one.mp4", shot(1, 30))
    (clip,) = add_video(workspace, candidate(path), SPLIT).clips
    assert (clip.name, clip.source_frames) == ("one", None)


@pytest.mark.parametrize("policy", [None, SPLIT])
@pytest.mark.parametrize("again", [None, SPLIT])
def test_what_is_in_is_left_as_it_is(workspace, film, policy, again):
    first = add_video(workspace, candidate(film), policy)
    before = file_bytes(workspace.root / "clips")
    second = add_video(workspace, candidate(film, name="other"), again)
    assert (second.clips, second.known, second.refused) == ((), first.clips, ())
    assert file_bytes(workspace.root / "clips") == before


def test_an_interrupted_splitting_goes_on(workspace, film, monkeypatch):
    taken = []
    add_clip = workspace.add_clip

    def killed_at_the_second(clip, folder):
        if taken:
            raise KeyboardInterrupt
        add_clip(clip, folder)
        taken.append(clip)

    monkeypatch.setattr(workspace, "add_clip", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        add_video(workspace, candidate(film), SPLIT)
    monkeypatch.undo()
    assert workspace.clips() == taken
    assert left_behind(workspace) == []
    before = file_bytes(workspace.clip_folder("film-1"))
    assert add_video(workspace, candidate(film)).known == tuple(taken)  # no clip of all of it
    added = add_video(workspace, candidate(film), SPLIT)
    assert [clip.name for clip in added.clips] == ["film-2", "film-3"]
    assert added.known == tuple(taken)
    assert file_bytes(workspace.clip_folder("film-1")) == before


def test_a_shot_whose_name_is_taken_does_not_stop_the_others(workspace, film):
    make_clip(workspace, "film-2")
    added = add_video(workspace, candidate(film), SPLIT)
    assert [clip.name for clip in added.clips] == ["film-1", "film-3"]
    (sentence,) = added.refused
    assert "already a clip 'film-2'" in sentence
    added = add_video(workspace, candidate(film, name="again", given=True), SPLIT)
    assert [clip.name for clip in added.clips] == ["again-2"]


def test_a_strict_policy_refuses_and_leaves_nothing(workspace, film, tmp_path):
    small = add_video(workspace, candidate(film), Policy(strict=True))
    assert small.clips == ()
    assert "breaks short-side" in small.refused[0]
    large = write_pictures(tmp_path / "large.mp4", shot(1, 40, size=(1280, 720)))
    short = add_video(workspace, candidate(large), Policy(strict=True))
    assert "breaks duration, it lasts 1.3 s" in short.refused[0]
    assert workspace.clips() == left_behind(workspace) == []
    assert [*(workspace.root / "clips").iterdir()] == []


def test_a_strict_policy_judges_each_shot(workspace, tmp_path):
    pictures = [*shot(1, 60, size=(1280, 720)), *shot(2, 20, size=(1280, 720))]
    path = write_pictures(tmp_path / "film.mp4", pictures, rate=10)
    strict = add_video(workspace, candidate(path), Policy(strict=True))
    assert "no-cut, a camera cut at 6.0 s" in strict.refused[0]
    parts = add_video(workspace, candidate(path), Policy(strict=True, split_cuts=True))
    assert [clip.name for clip in parts.clips] == ["film-1"]
    assert "shot film-2 was not added: it breaks duration" in parts.refused[0]
    rest = add_video(workspace, candidate(path), SPLIT)
    assert [clip.name for clip in rest.clips] == ["film-2"]


def test_a_turned_video_is_judged_upright(workspace, tmp_path):
    pictures = [np.rot90(picture) for picture in shot(1, 20, size=(96, 160))]
    path = write_pictures(tmp_path / "phone.mp4", pictures)
    set_matrix(path, 0, 1, -1, 0)
    (clip,) = add_video(workspace, candidate(path)).clips
    assert (clip.width, clip.height, clip.orientation) == (96, 160, "portrait")


def test_a_name_that_no_shot_could_have_is_refused_before_decoding(workspace, film):
    with pytest.raises(LabelerError, match="cannot name a clip"):
        add_video(workspace, candidate(film, name="x" * 98), SPLIT)


def test_a_workspace_from_before_opens_and_can_be_judged(workspace):
    """Its rows and clip.json have none of the new fields."""
    clip = make_clip(workspace, frame_count=20)
    workspace.close()
    path = workspace.clip_folder("walk") / "clip.json"
    fields = json.loads(path.read_text())
    added = ("licence", "first_frame", "source_frames", "cuts", "title")
    path.write_text(json.dumps({key: fields[key] for key in fields if key not in added}))
    connection = sqlite3.connect(workspace.root / "mvps.db")
    for column in added:
        connection.execute(f"ALTER TABLE clips DROP COLUMN {column}")
    connection.close()
    old, notices = open_workspace(workspace.root)
    assert (old.clips(), notices) == ([clip], [])
    judged = look_for_cuts(old, clip)
    assert judged == replace(clip, cuts=())
    assert old.clips() == [judged]
    old.close()
    for database in workspace.root.glob("mvps.db*"):
        database.unlink()
    rebuilt, _ = open_workspace(workspace.root)
    assert rebuilt.clips() == [judged]
    rebuilt.close()


def test_cuts_are_found_in_the_stored_frames_too(workspace, film):
    (clip,) = add_video(workspace, candidate(film)).clips
    assert look_for_cuts(workspace, replace(clip, cuts=None)).cuts == (40, 90)


def test_real_clips_by_the_rules(workspace, shared_data):
    """What the data's own table says of them: the second breaks the rules."""
    from labeler.collect.rules import broken, check_video_rules

    clips = shared_data / "clips"
    (juggle,) = add_video(workspace, candidate(clips / "juggle_720p.mp4")).clips
    assert broken(check_video_rules(juggle)) == []
    assert read_image(workspace.clip_folder(juggle.name) / "frames" / "00000.jpg").shape[0] == 720
    (one_by_one,) = add_video(workspace, candidate(clips / "one_by_one_432p.mp4")).clips
    rules = [verdict.rule for verdict in broken(check_video_rules(one_by_one))]
    assert "short-side" in rules
    assert one_by_one.fps == Fraction(10)
