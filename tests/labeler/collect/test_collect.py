"""Many videos at once: none stops another, and an interruption costs those in work alone."""

import threading

import pytest

from labeler.clip import Scenario
from labeler.collect.batch import add_all
from labeler.collect.candidates import Candidate
from labeler.collect.ingest import Added, Policy
from labeler.workspace.integrity import faults
from tests.labeler.videos import write_video

NAMES = [f"v{n}" for n in range(6)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return {
        name: write_video(folder / f"{name}.mp4", 20 + n, noise=3) for n, name in enumerate(NAMES)
    }


def of(*paths):
    return [Candidate.of(path, Scenario.NEWS) for path in paths]


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_good_ones_are_in_and_each_failure_has_its_reason(workspace, videos, tmp_path, jobs):
    broken = tmp_path / "broken.mp4"
    whole = videos["v0"].read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    namesake = write_video(tmp_path / "v1.mp4", 9)
    twin = tmp_path / "twin.mp4"
    twin.write_bytes(videos["v2"].read_bytes())
    missing = tmp_path / "missing.mp4"
    listed = of(*videos.values(), broken, namesake, twin, missing)
    outcomes = dict(add_all(workspace, listed, Policy(), jobs))
    assert set(outcomes) == set(listed)
    reasons = {each.path: what for each, what in outcomes.items() if isinstance(what, str)}
    assert set(reasons) == {broken, namesake, missing}
    assert str(videos["v1"]) in reasons[namesake]
    added = [what for what in outcomes.values() if isinstance(what, Added)]
    assert sorted(clip.sha256 for what in added for clip in what.clips) == sorted(
        clip.sha256 for clip in workspace.clips()
    )
    assert len(workspace.clips()) == len(NAMES)  # of two equal files one is in
    assert sum(len(what.known) for what in added) == 1
    assert faults(workspace) == [*workspace.pending.iterdir()] == []


def test_an_interruption_leaves_whole_clips_and_the_next_run_goes_on(workspace, videos):
    listed = of(*videos.values())
    outcomes = add_all(workspace, listed, Policy(), 2)
    next(outcomes)
    outcomes.close()  # as Ctrl-C does
    assert not [t for t in threading.enumerate() if t.name.startswith("add")]
    before = workspace.clips()
    assert 1 <= len(before) < len(NAMES)
    assert faults(workspace) == [*workspace.pending.iterdir()] == []
    added = [what for _, what in add_all(workspace, listed, Policy(), 2)]
    assert sorted(clip.name for what in added for clip in what.known) == [
        clip.name for clip in before
    ]
    assert [clip.name for clip in workspace.clips()] == NAMES


def test_what_nobody_foresaw_stops_no_other(workspace, videos):
    def begun(candidate):
        if candidate.name == "v3":
            raise ZeroDivisionError("odd")
        return lambda done, total: None

    outcomes = dict(add_all(workspace, of(*videos.values()), Policy(), 2, begun))
    (reason,) = [what for what in outcomes.values() if isinstance(what, str)]
    assert "v3.mp4 could not be added (ZeroDivisionError: odd)" in reason
    assert len(workspace.clips()) == len(NAMES) - 1
