"""Collecting as a curator types it: a folder, a table, again, and looked at."""

import json

import pytest

from tests.backend.terminal import Terminal
from tests.labeler.shots import shot, write_pictures
from tests.workspaces import file_bytes

LARGE = (1280, 720)


@pytest.fixture
def mvps(tmp_path):
    return Terminal(tmp_path / "workspace")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """One that keeps the rules, one with a cut, one small and short, and one cut off."""
    folder = tmp_path_factory.mktemp("videos")
    write_pictures(folder / "good.mp4", shot(1, 60, size=LARGE), rate=10)
    (folder / "sub").mkdir()
    cut = [*shot(2, 60, size=LARGE), *shot(3, 61, size=LARGE)]
    write_pictures(folder / "sub" / "cut.mp4", cut, rate=10)
    small = write_pictures(folder / "small.mp4", shot(4, 20)).read_bytes()
    (folder / "torn.mp4").write_bytes(small[: len(small) // 2])
    return folder


def test_a_folder_is_judged_video_by_video_and_can_be_added_again(mvps, videos):
    out, err = mvps.run("add", videos, "--scenario", "lecture", expect=1)
    assert "good: 60 frames at 10 per second, 1280x720 (landscape), 12 key frames" in out
    assert "good: keeps short-side, duration, no-cut; portrait and motion" in out
    assert "clips added: 3; videos skipped: 0; failures: 1" in out
    lines = err.strip().splitlines()
    assert "cut: breaks no-cut: a camera cut at 6.0 s" in lines
    assert "small: breaks short-side: the short side is 90 pixels (at least 720)" in lines
    assert "small: breaks duration: it lasts 0.7 s (at least 6)" in lines
    assert [line for line in lines if line.startswith("mvps: ")] == lines[-1:]
    assert "torn.mp4" in lines[-1]

    before = file_bytes(mvps.root / "clips")
    out, err = mvps.run("add", videos, "--scenario", "lecture", expect=1)
    assert out.count("already added as ") == 3
    assert "torn.mp4" in err
    assert file_bytes(mvps.root / "clips") == before

    status = {each["name"]: each for each in json.loads(mvps.run("status", "--json")[0])["clips"]}
    judged = {rule["rule"]: rule["kept"] for rule in status["cut"]["rules"]}
    assert judged == {
        "portrait": None,
        "short-side": True,
        "duration": True,
        "no-cut": False,
        "motion": None,
    }
    assert status["good"]["orientation"] == "landscape"
    assert "broken: short-side, duration; not judged yet" in mvps.run("status")[0]
    assert "small: duration broken: it lasts 0.7 s" in mvps.run("judge", "small")[0]


def test_a_table_brings_source_and_licence_and_is_begun_by_a_template(mvps, videos, tmp_path):
    table = tmp_path / "videos.csv"
    out, _ = mvps.run("add", videos, "--template", table)
    assert "4 videos" in out
    assert not mvps.root.exists()
    lines = table.read_text().splitlines()
    assert lines[0] == "path,scenario,source,licence,name"
    filled = [
        line.replace(
            ",,,,", ",opera,,," if "small" in line else f",news,https://example.org/{n},CC0,"
        )
        for n, line in enumerate(lines)
    ]
    table.write_text("\n".join(filled))
    out, err = mvps.run("add", table, "--split-cuts", expect=1)
    assert "clips added: 3; videos skipped: 0; failures: 2" in out
    failures = [line for line in err.splitlines() if line.startswith("mvps: ")]
    assert len(failures) == 2
    assert "'opera' is no scenario" in failures[0]
    assert "torn.mp4" in failures[1]
    clips = {each["name"]: each for each in json.loads(mvps.run("status", "--json")[0])["clips"]}
    assert sorted(clips) == ["cut-1", "cut-2", "good"]
    assert {each["licence"] for each in clips.values()} == {"CC0"}
    assert clips["cut-1"]["sha256"] == clips["cut-2"]["sha256"]

    table.write_text(table.read_text().replace("CC0", "CC BY 4.0").replace("opera", "news"))
    out, err = mvps.run("add", table, "--split-cuts", expect=1)
    assert "good keeps the licence 'CC0', not 'CC BY 4.0'." in err
    assert "small: 20 frames" in out


def test_strict_refuses_what_breaks_a_rule(mvps, videos):
    out, err = mvps.run("add", videos, "--scenario", "news", "--strict", "-j", "2", expect=1)
    assert "clips added: 1; videos skipped: 0; failures: 3" in out
    assert [clip.name for clip in mvps.workspace().clips()] == ["good"]
    for reason in ("breaks short-side", "breaks no-cut", "torn.mp4"):
        assert reason in err
    assert [path.name for path in (mvps.root / "clips").iterdir()] == ["good"]
    assert list((mvps.root / "pending").iterdir()) == []


def test_wrong_use_exits_with_2(mvps, videos, tmp_path):
    assert "name a video" in mvps.run("add", expect=2)[1]
    assert "--scenario" in mvps.run("add", videos, expect=2)[1]
    mvps.run("add", videos, "--scenario", "news", "--name", "one", expect=2)
    (tmp_path / "t.csv").write_text("file,scenario\n")
    assert "--template" in mvps.run("add", tmp_path / "t.csv", expect=1)[1]


def test_a_plan_adds_nothing_and_its_exit_code_says_whether_all_comes_in(mvps, videos, tmp_path):
    out, err = mvps.run("add", videos, "--scenario", "news", "--plan", "--json", expect=1)
    plan = json.loads(out)
    assert [each["clip"] for each in plan["comes_in"]] == ["good", "small", "cut"]
    assert [plan["comes_in"][0][side] for side in ("width", "height", "frames")] == [1280, 720, 60]
    (torn,) = plan["left_out"]
    assert torn["path"].endswith("torn.mp4")
    assert "cannot be read as a video" in torn["reason"]
    assert plan["known"] == []
    assert mvps.workspace().clips() == []
    out, err = mvps.run("add", videos, "--scenario", "news", "--plan", expect=1)
    assert "3 comes in, 0 known, 1 left out" in out
    assert "torn.mp4 cannot be read" in err
    table = tmp_path / "t.csv"
    table.write_text(f"path,scenario\n{videos}/small.mp4,news\n{videos}/good.mp4,opera\n")
    plan = json.loads(mvps.run("add", table, "--plan", "--json", expect=1)[0])
    assert "'opera' is no scenario" in plan["left_out"][0]["reason"]
    table.write_text(f"path,scenario\n{videos}/small.mp4,news\n")
    mvps.run("add", table, "--plan")
    mvps.run("add", table)
    plan = json.loads(mvps.run("add", table, "--plan", "--json")[0])
    assert [each["known_as"] for each in plan["known"]] == [["small"]]
    mvps.run("add", table, "--json", expect=2)


def test_a_terminal_that_knows_ascii_only_fails_no_name(mvps, videos, tmp_path):
    (tmp_path / "张三.mp4").write_bytes((videos / "small.mp4").read_bytes())
    mvps.environment |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    out, _ = mvps.run("add", tmp_path / "张三.mp4", "--scenario", "news")
    assert r"ZhangSan (\u5f20\u4e09): 20 frames" in out
    mvps.environment |= {"PYTHONIOENCODING": "utf-8"}
    assert "ZhangSan (张三)" in mvps.run("status")[0]
