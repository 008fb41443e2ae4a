"""Which videos a folder or a table names, and which of its lines are no good."""

import os

import pytest

from labeler.clip import Scenario
from labeler.collect.candidates import (
    Candidate,
    name_apart,
    read_candidates,
    videos_below,
    write_template,
)
from labeler.errors import LabelerError


def table(folder, text, encoding="utf-8"):
    path = folder / "videos.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_table_says_all_there_is_to_know(tmp_path):
    text = (
        "path,scenario,source,licence,name\n"
        'a/walk.mp4,lecture,"https://example.org/a,b",CC BY 4.0,stroll\n'
        f"{tmp_path}/run.mov,news,,,\n"
    )
    assert read_candidates(table(tmp_path, text)) == (
        [
            Candidate(
                tmp_path / "a" / "walk.mp4",
                Scenario.LECTURE,
                "stroll",
                "https://example.org/a,b",
                "CC BY 4.0",
                given=True,
            ),
            Candidate(tmp_path / "run.mov", Scenario.NEWS, "run", "run.mov"),
        ],
        [],
    )


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_spreadsheets_write(tmp_path, separator, encoding):
    text = "Path,Licence ,SCENARIO\r\nünder way.mp4, CC0 ,news\r\n".replace(",", separator)
    (found,), faults = read_candidates(table(tmp_path, text, encoding))
    assert (found.path.name, found.licence, found.name) == ("ünder way.mp4", "CC0", "under_way")
    assert found.shown == "under_way (ünder way)"
    assert faults == []


def test_a_bad_line_costs_no_other(tmp_path):
    text = (
        "path,scenario,source,licence\n"
        "a.mp4,opera,,\n"
        "b.mp4,news,,\n"
        ",news,,\n"
        "c.mp4,,,\n"
        "d.mp4,news\n"
        "e.mp4,news,,,,\n"
    )
    found, faults = read_candidates(table(tmp_path, text))
    assert [candidate.name for candidate in found] == ["b"]
    said = ["'opera' is no scenario", "names no video", "'' is no scenario"]
    said += ["not have one value for each column"] * 2
    for fault, line, reason in zip(faults, (2, 4, 5, 6, 7), said, strict=True):
        assert f"line {line}: " in fault
        assert reason in fault
    found, _ = read_candidates(table(tmp_path, text), Scenario.LECTURE)
    assert [each.scenario for each in found] == [Scenario.NEWS, Scenario.LECTURE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "path,scenario,source,licence"),
        ("a.mp4,news,,\n", "unknown column 'a.mp4'"),
        ("path,scenario,license\n", "unknown column 'license'"),
        ("path,path\n", "columns"),
        ('path,scenario\n"a.mp4,news\n', "is no line of a table"),
    ],
)
def test_a_file_that_is_no_table_is_refused_before_anything_is_added(tmp_path, text, said):
    with pytest.raises(LabelerError, match=said):
        read_candidates(table(tmp_path, text))
    with pytest.raises(LabelerError, match="cannot be read"):
        read_candidates(tmp_path / "none.csv")


def test_videos_in_a_folder(tmp_path):
    for name in ("b.MP4", "a/c.mov", "notes.txt", ".hidden.mp4", ".trash/d.mp4", "e.mp4/f.webm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in videos_below(tmp_path)]
    assert found == ["a/c.mov", "b.MP4", "e.mp4/f.webm"]
    with pytest.raises(LabelerError, match="holds no video"):
        videos_below(tmp_path / ".trash" / "none")


def test_a_template_can_be_read_back(tmp_path):
    (tmp_path / "videos").mkdir()
    video = tmp_path / "videos" / "a.mp4"
    path = tmp_path / "videos.csv"
    write_template(path, [video], Scenario.NEWS)
    assert path.read_text().splitlines()[0] == "path,scenario,source,licence,name"
    assert read_candidates(path) == ([Candidate.of(video, Scenario.NEWS, "a")], [])
    with pytest.raises(LabelerError, match="there already"):
        write_template(path, [], None)
    write_template(tmp_path / "example.csv", [], None)
    (example,), faults = read_candidates(tmp_path / "example.csv")
    assert example.licence == "CC BY 4.0"
    assert faults == []


def test_a_template_gives_each_video_a_name_of_its_own_in_any_script(tmp_path):
    odd = os.fsdecode(b"b\xfccher.mp4")
    videos = [tmp_path / name for name in ("张三.mp4", "章三.mp4", "a/IMG.mov", "b/IMG.MOV", odd)]
    for video in videos:
        video.parent.mkdir(exist_ok=True)
        video.touch()
    write_template(tmp_path / "videos.csv", videos, Scenario.NEWS)
    found, faults = read_candidates(tmp_path / "videos.csv")
    assert faults == []
    assert [each.path for each in found] == videos
    assert [each.name for each in found] == [
        "ZhangSan",
        "ZhangSan_2",
        "a_IMG",
        "b_IMG",
        "bucher",
    ]
    assert [each.title for each in found] == ["张三", "章三", "", "", "bücher"]
    assert found[-1].source == "bücher.mp4"


def test_a_table_that_is_not_in_utf_8_is_told_by_the_line(tmp_path):
    text = "path,scenario,source,licence\nbücher.mp4,news,,\nb.mp4,news,Büro,\n"
    (found,), (fault,) = read_candidates(table(tmp_path, text, "latin-1"))
    assert "line 2: its path is not in UTF-8; save the table as CSV in UTF-8" in fault
    assert found.source == "Büro"


def test_a_name_that_somebody_gives_is_kept_if_it_can_be(tmp_path):
    given = Candidate.of(tmp_path / "x.mp4", Scenario.NEWS, "张三")
    assert (given.name, given.title, given.given) == ("ZhangSan", "张三", False)
    listed = [
        given,
        Candidate.of(tmp_path / "walk.mp4", Scenario.NEWS),
        Candidate.of(tmp_path / "y.mp4", Scenario.NEWS, "walk"),
        Candidate.of(tmp_path / "run.mp4", Scenario.NEWS),
    ]
    names = [each.name for each in name_apart(listed, taken=["run"])]
    assert names == ["ZhangSan", "walk_2", "walk", "run_2"]
