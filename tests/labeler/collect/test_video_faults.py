"""Videos that cannot be used, and those that only look so: one clear sentence each."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import cv2
import pytest

from labeler.collect.video import extract_frames, sample_frames
from labeler.errors import LabelerError
from tests.labeler.videos import (
    draw,
    every,
    numbers,
    read,
    write_sound,
    write_video,
)


def refusal(path: Path) -> str:
    with pytest.raises(LabelerError) as caught:
        list(sample_frames(path))
    message = str(caught.value)
    assert message.startswith(str(path))
    assert ";" in message  # what to do next
    assert message.endswith(".")
    return message


def test_a_missing_file(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "a.mp4")


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    assert "is empty" in refusal(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.m3u8", "a.jpg"])
def test_something_that_is_no_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.jpg":
        assert cv2.imwrite(str(path), draw(0))
    else:
        write_video(tmp_path / "real.ts", 5)
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.ts\n#EXT-X-ENDLIST\n")
    assert "cannot be read as a video" in refusal(path)


def test_sound_alone(tmp_path: Path) -> None:
    assert "no moving picture" in refusal(write_sound(tmp_path / "a.m4a"))


def test_an_unknown_codec(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    assert "its codec is unknown" in refusal(path)


def test_a_picture_under_64_pixels(tmp_path: Path) -> None:
    assert "62" in refusal(write_video(tmp_path / "a.mp4", 5, size=(128, 62)))
    assert numbers(write_video(tmp_path / "b.mp4", 5, size=(64, 64))) == list(range(5))


def test_a_picture_that_changes_its_size(tmp_path: Path) -> None:
    parts = [write_video(tmp_path / f"{w}.ts", 12, size=(w, 96)) for w in (128, 192)]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert "changes its size to 192x96" in refusal(path)


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mov", "libx264", {}),
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx", {}),
        ("a.flv", "libx264", {}),
        ("a.avi", "mpeg4", {}),
    ],
)
def test_a_truncated_file(tmp_path: Path, capfd, name, codec, options, share) -> None:
    path = write_video(tmp_path / name, 100, codec=codec, rate=25, noise=40, **options)
    (tmp_path / "out").mkdir()
    with pytest.raises(LabelerError, match=r"cut off|damaged") as caught:
        extract_frames(cut(path, share), tmp_path / "out")
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.2, 0.35, 0.5, 0.65, 0.8])
@pytest.mark.parametrize(("name", "codec"), [("a.ts", "libx264"), ("a.mpg", "mpeg2video")])
def test_a_truncated_stream_without_a_length_gives_whole_frames_only(
    tmp_path: Path, name: str, codec: str, share: float
) -> None:
    path = cut(write_video(tmp_path / name, 100, codec=codec, rate=25, noise=40), share)
    shown = []
    with suppress(LabelerError):
        for frame in sample_frames(path):
            shown.append(read(frame.image))
    assert shown == list(range(len(shown)))


def test_a_truncated_file_that_starts_late(tmp_path: Path) -> None:
    times = [Fraction(3) + time for time in every(24, 96)]
    path = write_video(tmp_path / "a.mp4", 96, rate=24, times=times, movflags="faststart")
    assert "should last" in refusal(cut(path, 0.6))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_truncated_file_with_sound(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = write_video(tmp_path / name, 96, rate=24, sound=4, **options)
    assert "damaged" in refusal(cut(path, 0.7))


def test_a_file_damaged_in_the_middle(tmp_path: Path, capfd) -> None:
    path = write_video(tmp_path / "a.mp4", 96, rate=24, movflags="faststart")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    assert "is damaged after" in refusal(path)
    assert capfd.readouterr() == ("", "")


# Names and metadata that mislead


@pytest.mark.parametrize("name", ["a:b.mp4", "%03d.mp4", "-i.mp4", "ü ñ.mp4", "http:x.mp4"])
def test_awkward_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert numbers(write_video(tmp_path / name, 3).relative_to(tmp_path)) == [0, 1, 2]
