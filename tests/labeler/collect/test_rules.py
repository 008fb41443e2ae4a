"""Each collection rule is judged at its limit, and from the masks that count."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from labeler.clip import Clip, Scenario
from labeler.collect.rules import OBVIOUS_MOTION, Rule, check_rules, check_video_rules
from labeler.inspect.overview import overview
from labeler.revision import Draft
from tests.workspaces import make_clip

GOOD = Clip("walk", Scenario.NEWS, 180, Fraction(30), 1280, 720, "walk.mp4", "0" * 64, cuts=())


def kept(verdicts):
    return {verdict.rule: verdict.kept for verdict in verdicts}


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({}, set()),
        ({"width": 720, "height": 1280}, set()),
        ({"height": 719}, {Rule.SHORT_SIDE}),
        ({"width": 719, "height": 1280}, {Rule.SHORT_SIDE}),
        ({"frame_count": 179}, {Rule.DURATION}),
        ({"fps": Fraction(30000, 1001), "frame_count": 180}, set()),
        ({"fps": Fraction(24), "frame_count": 143}, {Rule.DURATION}),
        ({"cuts": (90,)}, {Rule.NO_CUT}),
    ],
)
def test_what_needs_no_masks(changed, broken):
    verdicts = kept(check_video_rules(replace(GOOD, **changed)))
    assert {rule for rule, keeps in verdicts.items() if not keeps} == broken
    assert None not in verdicts.values()


def test_cuts_that_nobody_looked_for_are_not_judged():
    assert kept(check_video_rules(replace(GOOD, cuts=None)))[Rule.NO_CUT] is None


@pytest.mark.parametrize(
    ("width", "height", "orientation"),
    [(1280, 720, "landscape"), (720, 1280, "portrait"), (720, 720, "square")],
)
def test_the_orientation_is_known(width, height, orientation):
    assert replace(GOOD, width=width, height=height).orientation == orientation


def mask(left, width=40):
    made = np.zeros((96, 128), bool)
    made[10:60, left : left + width] = True
    return made


@pytest.fixture
def clip(workspace):
    """Three seconds at 24 FPS."""
    return make_clip(workspace, frame_count=72)


def record(workspace, clip, masks):
    for frame, made in masks.items():
        workspace.record(clip, frame, made, Draft("ann"))


def verdicts_of(workspace, clip):
    return kept(check_rules(clip, workspace.current(clip), workspace.mask_path))


def test_without_masks_the_portrait_is_not_judged(workspace, clip):
    verdicts = verdicts_of(workspace, clip)
    assert verdicts[Rule.PORTRAIT] is verdicts[Rule.MOTION] is None


def test_a_portrait_that_moves_is_seen_before_all_is_masked(workspace, clip):
    record(workspace, clip, {frame: mask(frame) for frame in (0, 5, 10, 25, 30, 35)})
    verdicts = verdicts_of(workspace, clip)
    assert verdicts[Rule.PORTRAIT] is verdicts[Rule.MOTION] is True


def test_a_portrait_that_stands_still_is_said_to_once_all_is_masked(workspace, clip):
    record(workspace, clip, {frame: mask(20) for frame in clip.key_frames[:-1]})
    assert verdicts_of(workspace, clip)[Rule.MOTION] is None
    record(workspace, clip, {clip.key_frames[-1]: mask(20)})
    assert verdicts_of(workspace, clip)[Rule.MOTION] is False


def test_nobody_and_specks_are_no_portrait(workspace, clip):
    speck = np.zeros((96, 128), bool)
    speck[5:9, 5:9] = True
    masks = {frame: speck if frame % 10 else ~speck & False for frame in clip.key_frames}
    record(workspace, clip, masks)
    assert verdicts_of(workspace, clip)[Rule.PORTRAIT] is False
    record(workspace, clip, {10: mask(20)})
    assert verdicts_of(workspace, clip)[Rule.PORTRAIT] is True


def test_one_bad_mask_and_coming_and_going_are_no_motion(workspace, clip):
    masks = {frame: mask(20) for frame in clip.key_frames}
    masks[35] = mask(80)
    masks[0] = masks[5] = masks[10] = mask(0) & False
    record(workspace, clip, masks)
    assert verdicts_of(workspace, clip)[Rule.MOTION] is False


@pytest.mark.parametrize(("beyond", "moves"), [(1, True), (-1, False)])
def test_the_limit_of_motion(workspace, clip, beyond, moves):
    """1 - J of two bars of a width that are n apart is 2 n / (width + n)."""
    width = 100
    apart = round(OBVIOUS_MOTION * width / (2 - OBVIOUS_MOTION)) + beyond
    second = 25
    masks = {frame: mask(apart * (frame // second % 2), width) for frame in clip.key_frames}
    record(workspace, clip, masks)
    assert verdicts_of(workspace, clip)[Rule.MOTION] is moves


def test_a_correction_changes_the_verdict(workspace, clip):
    record(workspace, clip, {frame: mask(20) for frame in clip.key_frames})
    assert verdicts_of(workspace, clip)[Rule.MOTION] is False
    record(workspace, clip, {frame: mask(50) for frame in (0, 5, 10)})
    assert verdicts_of(workspace, clip)[Rule.MOTION] is True


def test_a_missing_mask_file_does_not_stop_the_status(workspace, clip):
    record(workspace, clip, {frame: mask(frame) for frame in clip.key_frames})
    for path in workspace.clip_folder(clip.name).glob("masks/*/*.png"):
        path.unlink()
    (each,) = overview(workspace, judged=True)
    assert kept(each.verdicts)[Rule.MOTION] is None
    assert each.rules == "broken: short-side, duration; not judged yet: no-cut, motion"
