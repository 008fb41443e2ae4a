"""HDR, interlaced and oblong pixels come in as FFmpeg itself shows them, and it is said."""

import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from labeler.collect.video import extract_frames, probe_video, sample_frames
from tests.labeler.shots import shot, write_pictures
from tests.labeler.videos import numbers, set_matrix, write_video

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
NEAR = 2  # levels of 255, on average

TONE_MAPPED = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
)
HDR_TAGS = {
    "PQ": ["-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"],
    "HLG": ["-color_trc", "arib-std-b67", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"],
}
FIELDS = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct"]


def ffmpeg(*arguments):
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Things before a moving camera, in SDR."""
    folder = tmp_path_factory.mktemp("film")
    return write_pictures(folder / "film.mp4", shot(1, 24, speed=6, size=(320, 180)))


def error(path, filters, count=6):
    """The mean difference between our pictures and FFmpeg's, in levels."""
    ours = []
    for frame in sample_frames(path, Fraction(1000)):
        ours.append(frame.image)
        if len(ours) == count:
            break
    raw = ffmpeg(
        *("-i", path, "-vf", filters, "-frames:v", len(ours)),
        *("-pix_fmt", "bgr24", "-f", "rawvideo", "-"),
    )
    theirs = np.frombuffer(raw, np.uint8).reshape(np.shape(ours)).astype(int)
    return np.abs(np.array(ours) - theirs).mean()


def hdr(film, folder, kind):
    """The film with its values stored as if they were those of HDR, which is what they then are."""
    path = folder / f"{kind}.mov"
    lossless = ["-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p10le"]
    ffmpeg("-i", film, *lossless, *HDR_TAGS[kind], path)
    return path


@needs_ffmpeg
@pytest.mark.parametrize("kind", HDR_TAGS)
def test_hdr_is_tone_mapped_as_ffmpeg_does_it(film, tmp_path, kind):
    path = hdr(film, tmp_path, kind)
    assert error(path, TONE_MAPPED) <= NEAR
    assert error(path, "null") > 5 * NEAR  # it was no SDR
    (remark,) = probe_video(path).remarks
    assert f"HDR ({kind})" in remark
    (tmp_path / "out").mkdir()
    assert extract_frames(path, tmp_path / "out").remarks == (remark,)


@needs_ffmpeg
@pytest.mark.parametrize(
    "turn", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)]
)
def test_hdr_that_was_filmed_upright_is_tone_mapped_upright(film, tmp_path, turn):
    path = hdr(film, tmp_path, "HLG")
    set_matrix(path, *turn)
    assert error(path, TONE_MAPPED, 2) <= NEAR


@needs_ffmpeg
def test_hdr_cases_that_came_in_washed_out(shared_cases):
    for name in ("hlg-lucia.mov", "41-hlg-rot.mov"):
        assert error(shared_cases / "41-hlg-rot" / name, TONE_MAPPED) <= NEAR


@needs_ffmpeg
@pytest.mark.parametrize("deinterlacer", ["bwdif=mode=send_frame", "yadif"])
@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_fields_become_pictures_as_ffmpeg_makes_them(film, tmp_path, codec, deinterlacer):
    path = tmp_path / "fields.mkv"
    ffmpeg("-i", film, *FIELDS, "-c:v", codec, "-qscale:v", 2, path)
    assert error(path, deinterlacer) <= NEAR
    assert error(path, "null") > error(path, deinterlacer) + 0.5  # it had combs
    (remark,) = probe_video(path).remarks
    assert "interlaced" in remark
    assert "both fields" in remark


@needs_ffmpeg
def test_each_interlaced_picture_is_there_once_at_its_time(tmp_path):
    progressive = write_video(tmp_path / "a.mkv", 30, rate=25)
    path = tmp_path / "flagged.mkv"
    ffmpeg("-i", progressive, "-flags", "+ilme+ildct", "-c:v", "mpeg2video", "-q:v", 2, path)
    assert probe_video(path).remarks
    assert numbers(path) == list(range(30))
    times = [frame.time for frame in sample_frames(path)]
    assert times == pytest.approx([n / 25 for n in range(30)], abs=0.001)


@needs_ffmpeg
def test_a_video_that_is_interlaced_from_the_middle_on(film, tmp_path):
    """The joined streams have both, and nothing is lost where one ends."""
    for name, options in {"a": [], "b": FIELDS, "c": []}.items():
        ffmpeg("-i", film, *options, "-c:v", "mpeg2video", "-q:v", 2, tmp_path / f"{name}.mpg")
    path = tmp_path / "joined.mpg"
    path.write_bytes(b"".join((tmp_path / f"{name}.mpg").read_bytes() for name in "abc"))
    with av.open(path) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    frames = list(sample_frames(path, Fraction(1000)))
    assert len(frames) == decoded > 50
    assert frames[0].remarks == ()
    assert "interlaced" in frames[-1].remarks[0]
    assert all(a.time < b.time for a, b in pairwise(frames))


@needs_ffmpeg
@pytest.mark.parametrize("shape", ["4/3", "64/45", "10/11"])
def test_oblong_pixels_become_square_as_ffmpeg_makes_them(film, tmp_path, shape):
    path = tmp_path / "oblong.mp4"
    ffmpeg("-i", film, "-vf", f"setsar={shape}", "-c:v", "libx264", path)
    assert error(path, "scale=iw*sar:ih") <= NEAR
    info = probe_video(path)
    assert (info.width, info.height) == (int(320 * Fraction(shape)), 180)
    assert f"become {info.width}x180" in info.remarks[0]


@needs_ffmpeg
def test_oblong_pixels_of_a_turned_video_become_square_before_it_is_turned(film, tmp_path):
    for name, tags in {"sdr.mov": [], "hdr.mov": HDR_TAGS["HLG"]}.items():
        path = tmp_path / name
        ffmpeg("-i", film, "-vf", "setsar=4/3", "-c:v", "libx264", *tags, path)
        set_matrix(path, 0, 1, -1, 0)
        info = probe_video(path)
        assert (info.width, info.height) == (180, int(320 * Fraction(4, 3)))


@needs_ffmpeg
def test_the_case_of_oblong_pixels(shared_cases):
    assert error(shared_cases / "46-sar" / "46-sar.mp4", "scale=iw*sar:ih") <= NEAR


def test_a_video_as_most_are_is_not_touched(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5)
    assert probe_video(path).remarks == ()
    assert [frame.remarks for frame in sample_frames(path)] == [()] * 5
