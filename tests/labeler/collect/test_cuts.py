"""Planted cuts are found where they are, and nothing else is taken for one."""

from fractions import Fraction
from itertools import accumulate

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeler.collect.cuts import CutFinder
from labeler.collect.video import sample_frames
from tests.labeler.shots import dissolve, shot


def cuts_in(pictures, rate=30):
    finder = CutFinder(Fraction(rate))
    for picture in pictures:
        finder.see(picture)
    return finder.cuts()


# The same examples in each run: in a rare scene a fast pan is taken for a dissolve, too;
# `scripts/planted_cuts.py` measures how rare that is.
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(16, 40), min_size=1, max_size=4),
    speed=st.integers(0, 8),
    seed=st.integers(0, 2**16),
)
def test_hard_cuts_are_found_to_the_frame(lengths, speed, seed):
    pictures = [
        picture
        for number, length in enumerate(lengths)
        for picture in shot(5 * seed + number, length, speed)
    ]
    assert cuts_in(pictures) == tuple(accumulate(lengths))[:-1]


@pytest.mark.parametrize("length", [3, 6, 12, 20])
@pytest.mark.parametrize("seed", range(4))
def test_a_dissolve_is_found_near_its_middle(length, seed):
    pictures = dissolve(shot(2 * seed, 60), shot(2 * seed + 1, 60), length)
    (found,) = cuts_in(pictures)
    assert abs(found - (60 - length / 2)) <= 2 + length / 4


def test_a_fade_through_black_is_found():
    one, other = shot(1, 60), shot(2, 60)
    black = [np.zeros_like(one[0])] * 20
    assert cuts_in(dissolve(dissolve(one, black, 10), other, 10))


@pytest.mark.parametrize("length", [1, 2, 4])
@pytest.mark.parametrize("speed", [0, 2])
def test_a_flash_is_no_cut(length, speed):
    pictures = shot(3, 80, speed)
    for n in range(40, 40 + length):
        pictures[n] = cv2.add(pictures[n], (150, 150, 150, 0))
    assert cuts_in(pictures) == ()


@pytest.mark.parametrize("speed", [0, 1, 4, 12])
def test_one_shot_has_no_cut(speed):
    assert cuts_in(shot(4, 120, speed)) == ()


def test_a_cut_after_a_flash_is_found():
    pictures = [*shot(5, 60), *shot(6, 60)]
    pictures[40] = cv2.add(pictures[40], (150, 150, 150, 0))
    assert cuts_in(pictures) == (60,)


def test_a_slow_video_is_looked_at_in_seconds():
    pictures = dissolve(shot(7, 40), shot(8, 40), 5)
    (found,) = cuts_in(pictures, rate=10)
    assert 34 <= found <= 41
    assert cuts_in(shot(9, 60, 12), rate=10) == ()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_few_frames_have_no_cut(count):
    assert cuts_in(shot(1, count)) == ()


def test_real_clips_of_one_shot(shared_data):
    """The camera follows fast people in the first and stands still in the second."""
    for name in ("swing", "breakdance-flare"):
        folder = shared_data / "video" / "JPEGImages" / "480p" / name
        pictures = [cv2.imread(str(path)) for path in sorted(folder.glob("*.jpg"))]
        assert cuts_in(pictures, 24) == ()
    juggle = shared_data / "clips" / "juggle_720p.mp4"
    assert cuts_in((frame.image for frame in sample_frames(juggle)), 24) == ()


def test_a_cut_between_real_clips(shared_data):
    folder = shared_data / "video" / "JPEGImages" / "480p"
    pictures = [
        cv2.imread(str(path))
        for name in ("swing", "lucia", "tennis")
        for path in sorted((folder / name).glob("*.jpg"))
    ]
    assert cuts_in(pictures, 24) == (60, 130)


@pytest.mark.parametrize("colour", [(0, 255, 0), (255, 0, 0), (0, 0, 255), (255, 255, 255)])
def test_somebody_who_moves_before_a_screen_is_no_cut(colour):
    pictures = []
    for n, picture in enumerate(shot(11, 60, 6)):
        screen = np.full_like(picture, colour)
        x = 20 + 3 * min(n, 60 - n)
        screen[20:, x : x + 40] = picture[20:, x : x + 40]
        pictures.append(screen)
    assert cuts_in(pictures) == ()


def test_a_cut_before_a_screen_is_found():
    def person(seed):
        screens = [np.full_like(picture, (0, 255, 0)) for picture in shot(seed, 40)]
        for screen, picture in zip(screens, shot(seed, 40), strict=True):
            screen[10:, 10 * seed : 10 * seed + 70] = picture[10:, 40:110]
        return screens

    assert cuts_in([*person(1), *person(6)]) == (40,)


def test_a_picture_that_jumps_again_and_again_is_no_cut():
    """As in a video call of few bits, which shows one frame of six, or a dance in stop motion."""
    pictures = [picture for picture in shot(12, 120, 8)[::6] for _ in range(6)]
    assert cuts_in(pictures) == ()
    assert cuts_in([*pictures, *shot(13, 60, 1)]) == (120,)


def test_a_key_frame_that_makes_the_picture_sharp_again_is_no_cut():
    pictures = [
        cv2.GaussianBlur(picture, (0, 0), 0.1 + 0.25 * (n % 12))
        for n, picture in enumerate(shot(14, 96, 1))
    ]
    assert cuts_in(pictures) == ()


def test_cuts_that_follow_each_other_fast_are_found():
    """Each is within half a second of others, but changes far more than any movement does."""
    pictures = []
    for n in range(6):
        pictures += [picture // 3 + 170 * (n % 2) for picture in shot(20 + n, 11)]
    assert cuts_in(pictures) == (11, 22, 33, 44, 55)


def test_the_case_of_a_player_before_a_green_screen(shared_cases):
    path = shared_cases / "video" / "green255_tennis.mp4"
    assert cuts_in((frame.image for frame in sample_frames(path)), 24) == ()
