"""`mvps import` and `mvps export --format` as a person types them."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from backend.cli.collect import _as_json
from labeler.clip import Scenario
from labeler.collect.candidates import Candidate
from labeler.collect.video import VideoInfo
from labeler.collect.video_plan import Fate, PlannedVideo
from labeler.layouts.clips_table import read_clips
from labeler.workspace.integrity import faults
from tests.backend.cli.test_cli import Terminal
from tests.labeler.made_foreign import box, made_coco, made_davis, objects
from tests.workspaces import file_bytes


@pytest.fixture
def mvps(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "workspace")


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    return made_davis(tmp_path / "set", {name: {0: objects(1), 5: objects(1)} for name in "abc"})


def test_a_dataset_is_extended_and_goes_out_again(
    mvps: Terminal, davis: Path, tmp_path: Path
) -> None:
    _, err = mvps.run("import", davis, expect=1)
    assert "give --scenario, one of entertainment" in err
    out, _ = mvps.run("import", davis, "--scenario", "news", "--clip", "a", "--fps", "29.97")
    assert "a: 6 frames at 29.97 per second, 40x24, 2 masks, key frames every 5" in out
    assert "imported 1 clips with 6 frames and 2 masks; 0 clips were already there" in out
    picture = davis / "JPEGImages" / "480p" / "b" / "00002.jpg"
    kept = picture.read_bytes()
    picture.write_bytes(kept[:-40])
    out, err = mvps.run("import", davis, "--scenario", "news", expect=1)
    assert "imported 1 clips with 6 frames and 2 masks; 1 clips were already there" in out
    assert "b was not imported" in err.strip().splitlines()[-1]
    assert "00002.jpg is not a readable picture" in err
    picture.write_bytes(kept)
    mvps.run("import", davis, "--scenario", "news", "--format", "davis")
    before = file_bytes(mvps.root / "clips")
    out, err = mvps.run("import", davis, "--scenario", "news")
    assert "imported 0 clips with 0 frames and 0 masks; 3 clips were already there" in out
    assert err == ""
    assert file_bytes(mvps.root / "clips") == before
    for layout in ("davis", "youtube-vos", "coco"):
        out, _ = mvps.run("export", tmp_path / layout, "--format", layout)
        assert "3 clips, 18 frames, 6 masks" in out
        other = Terminal(tmp_path / f"from {layout}")
        out, _ = other.run("import", tmp_path / layout)
        assert "imported 3 clips with 18 frames and 6 masks" in out
        assert faults(other.workspace(), deep=True) == []


@pytest.mark.parametrize("rate", ["0", "-1", "x", "1/0"])
def test_a_rate_that_is_none_is_wrong_use(mvps: Terminal, davis: Path, rate: str) -> None:
    _, err = mvps.run("import", davis, "--scenario", "news", f"--fps={rate}", expect=2)
    assert "is no frame rate" in err


def test_a_plan_is_printed_and_nothing_is_written(
    mvps: Terminal, davis: Path, tmp_path: Path
) -> None:
    out, _ = mvps.run("import", davis, "--plan")
    assert "a: 6 frames, 2 masks, from " in out
    assert "3 clips with 18 frames and 6 masks; already there: 0; left out: 0" in out
    assert not (mvps.root / "mvps.db").exists()
    (davis / "JPEGImages" / "480p" / "b" / "00002.jpg").unlink()
    out, _ = mvps.run("import", davis, "--plan", "--json", expect=1)
    plan = json.loads(out)
    assert [clip["clip"] for clip in plan["comes_in"]] == ["a", "c"]
    assert [(each["clip"], each["lost"]) for each in plan["left_out"]] == [("b", True)]
    assert not (mvps.root / "mvps.db").exists()
    _, err = mvps.run("import", davis, "--scenario", "news", "--json", expect=2)
    assert "--json goes with --plan" in err


def test_a_plan_has_the_keys_of_the_plan_of_videos(
    mvps: Terminal, davis: Path, tmp_path: Path
) -> None:
    """The keys are those that `_as_json` of `mvps add` always has."""
    (davis / "JPEGImages/480p/a").rename(davis / "JPEGImages/480p/张三")
    (davis / "Annotations/480p/a").rename(davis / "Annotations/480p/张三")
    mvps.run("import", davis, "--scenario", "news", "--clip", "张三", "--clip", "b")
    assert mvps.workspace().clip("ZhangSan").title == "张三"
    other = tmp_path / "other"
    shutil.copytree(davis, other)
    shutil.copytree(other / "JPEGImages/480p/c", other / "JPEGImages/480p/b", dirs_exist_ok=True)
    (davis / "JPEGImages" / "480p" / "c" / "00002.jpg").unlink()
    plan = json.loads(mvps.run("import", davis, "--plan", "--json", expect=1)[0])
    assert {each["clip"]: each["known_as"] for each in plan["known"]} == {
        "ZhangSan": ["ZhangSan"],
        "b": ["b"],
    }
    assert "张三 is in the workspace already, as ZhangSan (张三)." in str(plan["known"])
    assert [each["clip"] for each in plan["left_out"]] == ["c"]
    video = PlannedVideo(Candidate.of(Path("x.mp4"), Scenario.NEWS), Fate.LEFT_OUT)
    keys = _as_json(video).keys()
    plan_of_other = json.loads(mvps.run("import", other, "--plan", "--json", expect=1)[0])
    assert "another clip 'b'" in plan_of_other["left_out"][0]["reason"]
    (new,) = plan_of_other["comes_in"]
    assert (new["clip"], new["frames"], new["rate"]) == ("c", 6, "24")
    assert len(new["sha256"]) == 64
    assert (new["width"], new["height"]) == (40, 24)
    info = VideoInfo(40, 24, Fraction(24), 6)
    assert _as_json(replace(video, info=info)).keys() <= new.keys()
    assert all(keys <= each.keys() for each in [*plan["known"], *plan["left_out"], new])


def test_what_is_lost_is_named_and_told_by_the_exit_code(mvps: Terminal, tmp_path: Path) -> None:
    person = [("person", box(0, 0, 10, 24), 0)]
    folder = made_coco(tmp_path / "set", {"张三.jpg": person, "b.jpg": person, "c.jpg": []})
    out, err = mvps.run("import", folder, "--scenario", "news")
    assert "imported 2 clips" in out
    assert "left out: images/c: it shows no person (see --category)" in err
    path = folder / "annotations" / "instances_train.json"
    content = json.loads(path.read_text())
    content["images"][1]["id"] = content["images"][0]["id"]
    path.write_text(json.dumps(content))
    _, err = mvps.run("import", folder, "--scenario", "news", expect=1)
    assert "left out: 张三.jpg, b.jpg: " in err
    assert "2 pictures with the id 10" in err


def test_a_layout_that_is_only_read_is_not_written(mvps: Terminal, tmp_path: Path) -> None:
    _, err = mvps.run("export", tmp_path / "out", "--format", "supervisely", expect=2)
    assert "is only read" in err


def test_an_export_with_a_damaged_mask_leaves_out_its_clip_and_says_so(
    mvps: Terminal, davis: Path, tmp_path: Path
) -> None:
    mvps.run("import", davis, "--scenario", "news")
    workspace = mvps.workspace()
    path = workspace.mask_path(workspace.current(workspace.clip("b"))[0])
    path.write_bytes(path.read_bytes()[:40])
    for layout in ("mvps", "davis", "youtube-vos", "coco"):
        out, err = mvps.run("export", tmp_path / layout, "--format", layout, expect=1)
        assert "2 clips, 12 frames, 4 masks" in out
        assert f"b was left out: {path}" in err.replace("\n", "")
        assert "clips left out for damage: 1" in err
        assert sorted(open_rows(tmp_path / layout)) == ["a", "c"]
    assert "Nothing waits." in mvps.run("review", "list")[0]


def open_rows(folder: Path) -> list[str]:
    return [row.name for row in read_clips(folder / "clips.csv")]
