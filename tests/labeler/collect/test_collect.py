"""Many videos at once: none stops another, and an interruption costs those in work alone."""

import errno
import os
import threading
from pathlib import Path

import pytest

from labeler.clip import Scenario
from labeler.collect.batch import add_all
from labeler.collect.candidates import Candidate, videos_below
from labeler.collect.ingest import Added, Policy, add_video
from labeler.collect.video_plan import Fate, plan_videos
from labeler.errors import NoRoomError
from labeler.workspace.integrity import faults
from tests.labeler.videos import write_video
from tests.workspaces import file_bytes

NAMES = [f"v{n}" for n in range(6)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {
        name: write_video(folder / f"{name}.mp4", 20 + n, noise=3) for n, name in enumerate(NAMES)
    }


def of(*paths):
    return [Candidate.of(path, Scenario.NEWS) for path in paths]


def add(workspace, candidates, jobs=2, begun=None):
    """What comes of each candidate, in their order."""
    plan = plan_videos(workspace, candidates, Policy())
    outcomes = dict(add_all(workspace, plan, Policy(), jobs, begun))
    return [outcomes[place] for place in range(len(candidates))]


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_good_ones_are_in_and_each_failure_has_its_reason(workspace, videos, tmp_path, jobs):
    broken = tmp_path / "broken.mp4"
    whole = videos["v0"].read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    namesake = write_video(tmp_path / "v1.mp4", 9)
    twin = tmp_path / "twin.mp4"
    twin.write_bytes(videos["v2"].read_bytes())
    missing = tmp_path / "missing.mp4"
    torn = write_video(tmp_path / "torn.mkv", 90, noise=90)
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])  # its beginning is good
    listed = of(*videos.values(), broken, namesake, twin, missing, torn, videos["v0"])
    outcomes = add(workspace, listed, jobs)
    reasons = {n: what for n, what in enumerate(outcomes) if isinstance(what, str)}
    for number, said in {6: "broken.mp4", 9: "is not a file", 10: "torn.mkv"}.items():
        assert said in reasons.pop(number)
    assert "is named twice" in reasons.pop(11)
    assert reasons == {}
    added = [what for what in outcomes if isinstance(what, Added)]
    assert sorted(clip.sha256 for what in added for clip in what.clips) == sorted(
        clip.sha256 for clip in workspace.clips()
    )
    assert len(workspace.clips()) == len(NAMES) + 1  # of two equal files one is in
    assert faults(workspace) == [*workspace.pending.iterdir()] == []


def test_the_plan_says_the_fate_of_each_and_writes_nothing(workspace, videos, tmp_path):
    add(workspace, of(videos["v0"]))
    twin = tmp_path / "v5.mp4"
    twin.write_bytes(videos["v1"].read_bytes())
    given = [Candidate.of(videos[name], Scenario.NEWS, "one") for name in ("v2", "v3")]
    listed = [*of(videos["v0"], videos["v1"], twin, tmp_path / "none.mp4"), *given]
    before = file_bytes(workspace.root)
    plan = plan_videos(workspace, listed, Policy())
    fates = [Fate.KNOWN, Fate.COMES_IN, Fate.KNOWN, Fate.LEFT_OUT, Fate.COMES_IN, Fate.LEFT_OUT]
    assert [each.fate for each in plan] == fates
    assert "already, as v0" in plan[0].reason
    assert f"the same video as {videos['v1']}" in plan[2].reason
    assert "is not a file" in plan[3].reason
    assert "would be named 'one'" in plan[5].reason
    assert plan[1].info is not None
    assert (plan[1].info.width, plan[1].info.height) == (128, 96)
    strict = plan_videos(workspace, of(videos["v1"]), Policy(strict=True))
    assert "breaks short-side" in strict[0].reason
    assert file_bytes(workspace.root) == before


def test_names_in_any_script_and_twins_of_name_give_clips_of_their_own(workspace, tmp_path):
    """Chinese, Russian, the same name in two folders, and one that the workspace has already."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    names = ["张三.mp4", "章三.mp4", "Иван.mp4", "a/IMG.mp4", "b/IMG.mp4", "a/IMG.mkv"]
    files = [write_video(tmp_path / name, 5 + n) for n, name in enumerate(names)]
    shown: list[str] = []

    def begun(place):
        shown.append(names[place])
        raise RuntimeError("a display that fails")

    added = add(workspace, of(*files), begun=begun)
    assert [what.clips[0].shown for what in added] == [
        "ZhangSan (张三)",
        "ZhangSan_2 (章三)",
        "Ivan (Иван)",
        "a_IMG (IMG)",
        "b_IMG (IMG)",
        "a_IMG_2 (IMG)",
    ]
    assert sorted(shown) == sorted(names)
    late = write_video(tmp_path / "b" / "张三.mp4", 17)
    (again, new) = add(workspace, of(files[0], late))
    assert [clip.name for clip in again.known] == ["ZhangSan"]
    assert [clip.title for clip in new.clips] == ["张三"]
    sources = {clip.name: clip.source for clip in workspace.clips()}
    assert sources["a_IMG"] == "IMG.mp4"  # clips of one source are never divided
    assert sources["b_IMG"] == "b/IMG.mp4"
    assert len(set(sources.values())) == len(sources)
    assert faults(workspace) == []


def test_the_cases_of_names_that_a_curator_brought(workspace, shared_cases):
    folder = shared_cases / "50-video-non-ascii-names"
    listed = of(*videos_below(folder / "cn"), *videos_below(folder / "sub"))
    outcomes = add(workspace, listed)
    titles = {clip.title for what in outcomes for clip in what.clips}
    assert titles == {"张三", "李四", "Иван", "IMG_0001"}
    assert [clip.name for clip in workspace.clips()] == [
        "Ivan",
        "LiSi",
        "ZhangSan",
        "sub_a_IMG_0001",
        "sub_b_IMG_0001",
    ]


def test_an_interruption_leaves_whole_clips_and_the_next_run_goes_on(workspace, videos):
    listed = of(*videos.values())
    outcomes = add_all(workspace, plan_videos(workspace, listed, Policy()), Policy(), 2)
    next(outcomes)
    outcomes.close()  # as Ctrl-C does
    assert not [t for t in threading.enumerate() if t.name.startswith("add")]
    before = workspace.clips()
    assert 1 <= len(before) < len(NAMES)
    assert faults(workspace) == [*workspace.pending.iterdir()] == []
    added = add(workspace, listed)
    assert sorted(clip.name for what in added for clip in what.known) == [
        clip.name for clip in before
    ]
    assert [clip.name for clip in workspace.clips()] == NAMES


def test_what_nobody_foresaw_stops_no_other(workspace, videos, monkeypatch):
    def odd(workspace, candidate, policy, progress):
        if candidate.name == "v3":
            raise ZeroDivisionError("odd")
        return add_video(workspace, candidate, policy, progress)

    monkeypatch.setattr("labeler.collect.batch.add_video", odd)
    outcomes = add(workspace, of(*videos.values()))
    (reason,) = [what for what in outcomes if isinstance(what, str)]
    assert "v3.mp4 could not be added (ZeroDivisionError: odd)" in reason
    assert len(workspace.clips()) == len(NAMES) - 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_all_with_one_sentence_and_loses_nothing(
    workspace, videos, monkeypatch, number
):
    (first,) = add(workspace, of(videos["v0"]))
    write = Path.write_bytes

    def full(path, data):
        if workspace.root in path.parents:
            raise OSError(number, os.strerror(number), str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NoRoomError, match=r"is full: make room, and add the video again"):
        add(workspace, of(*videos.values()))
    monkeypatch.undo()
    assert tuple(workspace.clips()) == first.clips
    assert faults(workspace) == [*workspace.pending.iterdir()] == []
    assert len([what for what in add(workspace, of(*videos.values())) if what.clips]) == 5
