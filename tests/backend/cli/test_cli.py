"""The commands as a person types them, each in a process of its own."""

import json
import re
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from labeler.clip import Scenario
from labeler.layouts.mvps import open_dataset
from labeler.mask import encode_mask, read_mask
from labeler.revision import Draft, Provenance
from labeler.workspace.integrity import faults
from tests.backend.terminal import Terminal
from tests.labeler.videos import write_video
from tests.workspaces import file_bytes, make_clip, square


@pytest.fixture
def mvps(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "workspace")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "walk.mp4", 22)


def test_from_a_video_to_a_dataset(mvps, video, tmp_path):
    out, _ = mvps.run("add", video, "--scenario", "news")
    assert "walk: 22 frames" in out
    assert "5 key frames" in out
    out, _ = mvps.run("preannotate")
    assert re.search(r"walk: masked 5 key frames at \d+ ms each", out)
    out, _ = mvps.run("preannotate", "walk")
    assert "all 5 key frames are up to date" in out
    out, _ = mvps.run("preview", "-o", tmp_path / "pages")
    assert (tmp_path / "pages" / "walk.html").stat().st_size > 10_000

    out, _ = mvps.run("status", "--json")
    told = json.loads(out)
    (status,) = told["clips"]
    assert (told["champion"], told["waiting"]) == (None, {})
    assert len(told["next"]) == 5
    assert (status["name"], status["key_frames"], status["predicted"]) == ("walk", 5, 5)
    assert "fix next: walk " in mvps.run("status")[0]

    _, err = mvps.run("export", tmp_path / "dataset", expect=1)
    assert "--include-unreviewed" in err
    assert not (tmp_path / "dataset").exists()
    out, _ = mvps.run("export", tmp_path / "dataset", "--include-unreviewed")
    assert "1 clips, 22 frames, 5 masks; 54 of 54 files were new" in out
    out, _ = mvps.run("export", tmp_path / "dataset", "--include-unreviewed")
    assert "0 of 54 files were new" in out
    assert "27 pictures and masks at 480p" in mvps.run("resize", tmp_path / "dataset")[0]
    counts = json.loads(mvps.run("split", tmp_path / "dataset", "--anew", "--json")[0])["counts"]
    assert counts["train"] == {"clips": 1, "frames": 22, "masks": 5}
    assert "no faults" in mvps.run("validate", tmp_path / "dataset")[0]
    dataset = open_dataset(tmp_path / "dataset")
    workspace = mvps.workspace()
    for frame, revision in workspace.current(workspace.clip("walk")).items():
        assert np.array_equal(dataset.mask("walk", frame), workspace.read(revision))
    workspace.close()

    next((tmp_path / "dataset" / "Annotations" / "480p" / "walk").glob("*.png")).unlink()
    out, _ = mvps.run("validate", tmp_path / "dataset", "--json", expect=1)
    assert json.loads(out)


def test_a_correction_from_the_command_line(mvps, video, tmp_path):
    mvps.run("add", video, "--scenario", "news")
    mvps.run("preannotate", "--model", "copy")
    workspace = mvps.workspace()
    clip = workspace.clip("walk")
    mask = np.zeros((clip.height, clip.width), bool)
    mask[10:40, 20:60] = True
    path = tmp_path / "mine.png"
    cv2.imwrite(str(path), mask * np.uint8(255))
    out, _ = mvps.run("correct", "walk", 10, path, "--by", "ann", "--model", "copy")
    assert "recorded as revision 2" in out
    assert "masked 4 key frames" in out
    current = workspace.current(clip)
    assert (current[10].author, current[10].provenance) == ("ann", Provenance.CORRECTED)
    for frame in clip.key_frames:
        assert np.array_equal(workspace.read(current[frame]), mask)

    before = file_bytes(mvps.root / "clips")
    (tmp_path / "empty.png").write_bytes(encode_mask(np.zeros_like(mask)))
    (tmp_path / "small.png").write_bytes(encode_mask(mask[1:]))
    for arguments, said in [
        (("walk", 10, tmp_path / "empty.png"), "--allow-empty"),
        (("walk", 10, tmp_path / "small.png"), "give a mask of exactly the frame's size"),
        (("walk", 11, path), "no key frame"),
        (("run", 10, path), "There is no clip 'run'"),
        (("walk", 10, tmp_path / "nowhere.png"), "is missing"),
    ]:
        _, err = mvps.run("correct", *arguments, "--model", "copy", expect=1)
        assert said in err
        assert file_bytes(mvps.root / "clips") == before

    assert "no engine 'unet'" in mvps.run("preannotate", "--engine", "unet", expect=1)[1]
    mvps.run("preannotate", "--engine", "gam")  # carries the one mask that there is
    current = workspace.current(clip)
    assert current.pop(10).author == "ann"
    assert all(each.model_version.startswith("gam-small-") for each in current.values())
    workspace.close()


def test_the_same_video_twice_is_skipped_by_name(mvps, video, tmp_path):
    mvps.run("add", video, "--scenario", "news", "--name", "first")
    copy = tmp_path / "other.mp4"
    copy.write_bytes(video.read_bytes())
    out, _ = mvps.run("add", copy, "--scenario", "news")
    assert "other.mp4: already added as first; skipped" in out


def test_wrong_use_exits_with_2(mvps, video):
    assert "scenario" in mvps.run("add", video, expect=2)[1]
    mvps.run("add", video, "--scenario", "opera", expect=2)
    mvps.run("add", video, video, "--scenario", "news", "--name", "x", expect=2)
    mvps.run("nonsense", expect=2)


def test_what_is_not_there_is_one_sentence(mvps, tmp_path):
    _, err = mvps.run("preannotate", expect=1)
    assert err.strip() == (
        f"mvps: {mvps.root} has no clips yet; add one with `mvps add VIDEO --scenario S`."
    )
    _, err = mvps.run("add", tmp_path / "nowhere.mp4", "--scenario", "news", expect=1)
    assert "nowhere.mp4" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_add_leaves_no_clip(mvps, tmp_path, how):
    long = write_video(tmp_path / "long.mp4", 1500)
    process = mvps.start("add", long, "--scenario", "news")
    deadline = time.monotonic() + 60
    while not list(mvps.root.glob("pending/*/frames/0003?.jpg")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(how)
    _, err = process.communicate()
    assert process.returncode != 0
    assert "Traceback" not in err
    out, err = mvps.run("status", "--json")
    assert json.loads(out)["clips"] == []
    assert ("Removed what an interrupted" in err) == (how == signal.SIGKILL)
    assert list((mvps.root / "pending").iterdir()) == []
    assert list((mvps.root / "clips").iterdir()) == []


def test_the_doctor_names_what_is_wrong(mvps, video):
    out, _ = mvps.run("doctor")
    assert "does not exist yet" in out
    mvps.run("add", video, "--scenario", "news")
    mvps.run("preannotate", "--model", "copy")
    checks = json.loads(mvps.run("doctor", "--deep", "--json")[0])
    assert {check["name"] for check in checks} == {
        "video",
        "opencv",
        "studio",
        "device",
        "weights",
        "disk",
        "workspace",
    }
    assert not [check for check in checks if check["state"] == "fault"]
    (mvps.root / "clips" / "walk" / "masks" / "00005" / "1.png").unlink()
    out, _ = mvps.run("doctor", expect=1)
    assert re.search(r"fault +workspace .*00005/1.png is missing", out)


def test_the_demo_makes_its_own_clip_and_starts_again_where_it_was(mvps):
    out, err = mvps.run("demo", "--no-studio", "--model", "copy")
    assert "photograph" in err
    assert "no faults in its layout; 39 of its masks not reviewed" in out
    dataset = open_dataset(mvps.root / "dataset")
    (row,) = dataset.clips
    assert (row.width, row.height, row.frames) == (1280, 720, 192)
    assert row.frames / row.fps >= 6
    assert row.scenario is Scenario.ENTERTAINMENT
    before = file_bytes(mvps.root / "clips")
    out, _ = mvps.run("demo", "--no-studio", "--model", "copy")
    assert "up to date" in out
    assert file_bytes(mvps.root / "clips") == before


def test_the_demo_on_a_real_clip(mvps, shared_data):
    """Real frames through the real network; half the threads, as CI shares its cores."""
    out, _ = mvps.run("demo", "--no-studio", shared_data / "clips" / "juggle_720p.mp4")
    assert "masked 50 key frames" in out
    assert "1 clips, 247 frames, 50 masks" in out
    assert "no faults in its layout; 50 of its masks not reviewed" in out
    workspace = mvps.workspace()
    assert faults(workspace, deep=True) == []
    workspace.close()
    full = mvps.root / "dataset" / "Annotations" / "Full-Resolution" / "juggle_720p"
    assert len(list(full.glob("*.png"))) == 50
    assert read_mask(full / "00245.png").shape == (720, 1280)


def test_two_people_and_a_third_by_command(mvps, tmp_path):
    workspace = mvps.workspace()
    clip = make_clip(workspace)
    for frame in (0, 5):
        workspace.record(clip, frame, square(frame), Draft("ann"))
    workspace.close()
    other = tmp_path / "other.png"
    other.write_bytes(encode_mask(square(25)))
    assert "accepted" in mvps.run("check", "walk", "0", "--by", "bob")[0]
    assert "in conflict" in mvps.run("check", "walk", "5", other, "--by", "bob")[0]
    (waiting,) = json.loads(mvps.run("review", "list", "--json")[0])
    assert (waiting["frame"], waiting["first"], waiting["second"]) == (5, "ann", "bob")
    assert (
        "a third person decides"
        in mvps.run("review", "decide", "walk", "5", "first", "--by", "bob", expect=1)[1]
    )
    mvps.run("review", "decide", "walk", "5", "--by", "cid", expect=2)
    mvps.run("review", "decide", "walk", "5", "second", "--by", "cid", "--reason", "her arm")
    assert "Nothing waits" in mvps.run("review", "list")[0]
    report = json.loads(mvps.run("review", "report", "--json")[0])
    assert report["stages"]["accepted"] == 2
    assert report["by_clip"]["walk"]["agreed"] == 1
    assert "her arm" in mvps.run("review", "list", "--stage", "accepted")[0]
    mvps.run("export", tmp_path / "dataset")  # nothing but accepted masks
    dataset = open_dataset(tmp_path / "dataset")
    assert np.array_equal(dataset.mask("walk", 5), square(25))
