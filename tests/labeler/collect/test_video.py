"""Videos are read in the order they are shown, upright, at 30 FPS at most."""

import gc
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from labeler.clip import FrameFolder
from labeler.collect.video import extract_frames, probe_video, sample_frames
from labeler.errors import LabelerError
from tests.labeler.videos import (
    draw,
    every,
    in_milliseconds,
    nearest,
    numbers,
    read,
    set_edit,
    set_matrix,
    write_video,
)


def test_every_frame_of_a_slow_video_is_kept_in_order(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40, rate=24)
    assert [frame.time for frame in sample_frames(path)] == every(24, 40)
    assert numbers(path) == list(range(40))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.ts", "libx264"),
        ("a.flv", "libx264"),
        ("a.avi", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.mp4", "mpeg4"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_b_frames_come_in_the_order_they_are_shown(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, 50, rate=25, codec=codec, b_frames=2)
    with av.open(path) as container:
        kinds = {frame.pict_type for frame in container.decode(video=0)}
    assert av.video.frame.PictureType.B in kinds
    assert numbers(path) == list(range(50))
    (tmp_path / "out").mkdir()
    assert extract_frames(path, tmp_path / "out").fps == 25


@pytest.mark.parametrize(("name", "rate", "step"), [("a.mp4", 60, 2), ("a.mp4", 120, 4)])
def test_a_fast_video_is_thinned_and_is_then_at_30(tmp_path, name, rate, step) -> None:
    path = write_video(tmp_path / name, 80, rate=rate, b_frames=2)
    assert numbers(path) == list(range(0, 80, step))
    (tmp_path / "out").mkdir()
    assert extract_frames(path, tmp_path / "out").fps == 30


@pytest.mark.parametrize("rate", [31, 50])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_an_uneven_rate_gives_the_nearest_frame_of_each_tick(tmp_path, name, rate) -> None:
    path = write_video(tmp_path / name, 62, rate=rate)
    times = every(rate, 62)
    assert numbers(path) == nearest(in_milliseconds(times) if name == "a.mkv" else times)
    (tmp_path / "out").mkdir()
    assert extract_frames(path, tmp_path / "out").fps == 30


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(10)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_true_rate_is_kept_as_a_fraction(tmp_path: Path, name: str, rate: Fraction) -> None:
    path = write_video(tmp_path / name, 70, rate=rate)
    assert numbers(path) == list(range(70))
    assert probe_video(path).rate == rate
    (tmp_path / "out").mkdir()
    assert extract_frames(path, tmp_path / "out").fps == rate


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_variable_rate_is_sampled_by_time_and_measured(tmp_path: Path, name: str) -> None:
    # One second at 10 a second, then one at 60.
    times = every(10, 10) + [1 + time for time in every(60, 60)]
    path = write_video(tmp_path / name, 70, rate=35, times=times)
    kept = numbers(path)
    assert kept[:10] == list(range(10))
    assert kept[10:] == list(range(10, 70, 2))
    (tmp_path / "out").mkdir()
    assert extract_frames(path, tmp_path / "out").fps == pytest.approx(39 / (1 + 58 / 60), rel=0.01)


def test_a_jittery_phone_video_keeps_each_frame(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    times = [max(Fraction(0), (n + Fraction(random.uniform(-0.3, 0.3))) / 25) for n in range(75)]
    path = write_video(tmp_path / "a.mp4", 75, rate=25, times=times)
    assert numbers(path) == list(range(75))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_start_time_other_than_zero_is_no_truncation(tmp_path: Path, name: str) -> None:
    times = [Fraction(37, 10) + time for time in every(60, 60)]
    path = write_video(tmp_path / name, 60, rate=60, times=times)
    assert set(nearest(every(60, 60))) <= set(numbers(path)) <= set(range(60))
    assert len(numbers(path)) in (30, 31)


def test_an_edit_list_is_followed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 96, rate=24, b_frames=2)
    set_edit(path, Fraction(30, 24), Fraction(2))
    shown = [read(frame.image) for frame in sample_frames(path)]
    assert shown == list(range(30, 78))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.flv"])
def test_sound_that_lasts_longer_is_no_truncation(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, 24, rate=24, sound=3)
    assert numbers(path) == list(range(24))


@pytest.mark.parametrize("name", ["a.h264", "a.ts", "a.mjpeg"])
def test_a_file_that_does_not_say_how_long_it_is_can_be_read(tmp_path: Path, name: str) -> None:
    moving = name == "a.mjpeg"
    codec, pixels = ("mjpeg", "yuvj420p") if moving else ("libx264", "yuv420p")
    path = write_video(tmp_path / name, 30, rate=25, codec=codec, pixels=pixels, b_frames=0)
    assert numbers(path) == list(range(30))


def test_a_recording_that_starts_between_key_frames_starts_at_the_next(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", 60, rate=24)
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 3 // 188 * 188 :])
    shown = [read(frame.image) for frame in sample_frames(path)]
    assert shown[0] % 12 == 0
    assert shown == list(range(shown[0], 60))


def test_time_that_starts_anew_in_the_middle_goes_on(tmp_path: Path) -> None:
    part = write_video(tmp_path / "part.ts", 12, rate=24).read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(part + part)
    frames = list(sample_frames(path))
    assert [read(frame.image) for frame in frames] == [*range(12), *range(12)]
    assert [frame.time for frame in frames] == every(24, 24)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "size"),
    [
        ("odd.mp4", "mpeg4", "yuv420p", (131, 97)),
        ("odd.mkv", "ffv1", "yuv420p", (97, 131)),
        ("ten.mkv", "ffv1", "yuv420p10le", (128, 96)),
        ("ten.mp4", "libx264", "yuv420p10le", (128, 96)),
        ("rgb.mkv", "ffv1", "bgr0", (128, 96)),
        ("grey.mkv", "ffv1", "yuv444p", (64, 64)),
    ],
)
def test_odd_sizes_and_deep_pixels(tmp_path: Path, name, codec, pixels, size) -> None:
    path = write_video(tmp_path / name, 6, codec=codec, pixels=pixels, size=size)
    assert numbers(path) == list(range(6))
    image = next(sample_frames(path)).image
    assert (image.dtype, image.shape) == (np.uint8, (size[1], size[0], 3))
    assert np.abs(image.astype(int) - draw(0, size)).mean() < 12
    assert (probe_video(path).width, probe_video(path).height) == size


# How the picture is stored for it to come upright under each matrix.
TURNS = {
    "clockwise": ((0, 1, -1, 0), lambda picture: np.rot90(picture, 1)),
    "half": ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
    "anticlockwise": ((0, -1, 1, 0), lambda picture: np.rot90(picture, -1)),
    "mirrored": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda picture: picture[::-1]),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.transpose(1, 0, 2)),
    "transposed back": ((0, -1, -1, 0), lambda picture: picture[::-1, ::-1].transpose(1, 0, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_frames_come_upright(tmp_path: Path, turn: str) -> None:
    matrix, stored = TURNS[turn]
    path = write_video(tmp_path / "a.mp4", 5, size=(96, 160), stored=stored)
    set_matrix(path, *matrix)
    assert numbers(path) == list(range(5))
    assert (probe_video(path).width, probe_video(path).height) == (96, 160)
    (tmp_path / "out").mkdir()
    video = extract_frames(path, tmp_path / "out")
    assert (video.width, video.height) == (96, 160)
    assert read(FrameFolder(tmp_path / "out", 5, "key")[4]) == 4


@pytest.mark.slow
def test_frames_are_freed_as_the_reading_goes_on(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 200, rate=60)
    set_matrix(path, 0, 1, -1, 0)
    gc.collect()
    gc.disable()  # a frame in a cycle would stay until the collector happens to run
    try:
        for _ in sample_frames(path):
            frames = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
            assert frames < 30
    finally:
        gc.enable()


# Extraction


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("jpeg")]


def is_open(path: Path) -> bool:
    return str(path) in {
        os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
    }


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "out"
    folder.mkdir()
    yield folder
    assert not reading_threads()
    assert not any(is_open(path) for path in tmp_path.iterdir() if path.is_file())


def test_frames_are_written_as_jpegs(tmp_path: Path, out: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 50, rate=60, sound=1)
    told: list[int] = []
    video = extract_frames(path, out, told.append)
    assert (video.frame_count, video.fps, video.width, video.height) == (25, 30, 128, 96)
    assert sorted(file.name for file in out.iterdir()) == [f"{n:05d}.jpg" for n in range(25)]
    frames = FrameFolder(out, 25, "key")
    assert [read(frames[n]) for n in range(25)] == list(range(0, 50, 2))
    assert told == list(range(1, 26))
    for n, frame in enumerate(sample_frames(path)):
        quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
        written = (out / f"{n:05d}.jpg").read_bytes()
        assert written == cv2.imencode(".jpg", frame.image, quality)[1].tobytes()


@pytest.mark.parametrize("rate", [24, 60])
def test_a_video_of_one_frame(tmp_path: Path, out: Path, rate: int) -> None:
    video = extract_frames(write_video(tmp_path / "a.mp4", 1, rate=rate), out)
    assert (video.frame_count, video.fps) == (1, min(rate, 30))


def test_a_frame_that_cannot_be_written_stops_the_reading(tmp_path: Path, out: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 100)
    (out / "00003.jpg").symlink_to("/dev/full")
    told: list[int] = []
    with pytest.raises(LabelerError, match=r"00003\.jpg cannot be written \(No space left"):
        extract_frames(path, out, told.append)
    assert len(told) < 20


def test_a_folder_that_is_not_there(tmp_path: Path, out: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5)
    with pytest.raises(LabelerError, match=r"00000\.jpg cannot be written"):
        extract_frames(path, out / "missing")


def test_an_interruption_leaves_no_thread_and_no_open_file(tmp_path: Path, out: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 100)

    def interrupt(done: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_frames(path, out, interrupt)


def test_a_reader_that_stops_early_closes_the_file(tmp_path: Path, out: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 100)
    frames = sample_frames(path)
    next(frames)
    assert is_open(path)
    frames.close()  # type: ignore[attr-defined]


# What a video says of itself


@pytest.mark.parametrize(
    ("name", "rate", "estimate"), [("a.mp4", 24, 48), ("a.mkv", 60, 24), ("a.ts", 24, 48)]
)
def test_probing(tmp_path: Path, name: str, rate: int, estimate: int) -> None:
    info = probe_video(write_video(tmp_path / name, 48, rate=rate, size=(160, 96)))
    assert (info.width, info.height, info.rate) == (160, 96, rate)
    assert info.frame_estimate == pytest.approx(estimate, abs=2)


def test_probing_a_file_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    assert probe_video(write_video(tmp_path / "a.h264", 48)).frame_estimate is None


def test_a_real_clip_is_extracted(shared_data: Path, out: Path) -> None:
    path = shared_data / "clips" / "juggle_720p.mp4"
    video = extract_frames(path, out)
    assert (video.frame_count, video.fps, video.width, video.height) == (247, 24, 1280, 720)
    assert probe_video(path).frame_estimate == 247


def test_a_real_slow_clip_keeps_its_frames(shared_data: Path) -> None:
    frames = sample_frames(shared_data / "clips" / "one_by_one_432p.mp4")
    assert sum(1 for _ in frames) == 1394
