"""Which frames are to be fixed next."""

import numpy as np
import pytest

from labeler.review.priority import (
    FAR,
    PriorityOrder,
    key_frame_thumbnails,
    next_frames,
    priorities,
)
from labeler.revision import Draft
from tests.accepted import accepted_clip, figure

HERE, THERE = np.eye(256, dtype=np.float32)[:2]


def test_what_counts():
    untouched = priorities([0.2, 0.8], [False, False])
    assert untouched.tolist() == pytest.approx([0.6, 0.9])  # nothing is done: all are far
    one_done = priorities([0.2, 0.2, 0.2, 0.8], [True, False, False, False])
    assert one_done[0] == 0
    assert one_done[1] == pytest.approx((0.2 + 1 / FAR) / 2)
    assert one_done[3] == one_done.max()
    looks = np.stack([HERE, HERE, THERE, (HERE + THERE) / np.sqrt(2)])
    seen = priorities([0.2] * 4, [True, False, False, False], looks)
    assert np.argsort(seen).tolist() == [0, 1, 3, 2]  # the least like what is done comes first
    assert seen[2] == pytest.approx((0.2 + 2 / FAR + 1) / 3)
    assert priorities([0.0], [False], HERE[None])[0] == pytest.approx(2 / 3)
    assert not priorities([0.5, 1], [True, True], looks[:2]).any()


def test_the_next_frames_are_not_neighbours_of_each_other(workspace):
    long, short = (
        accepted_clip(workspace, name, 1 + len(name), masked=False) for name in ("a", "bb")
    )
    for clip in (long, short):
        for frame in clip.key_frames:
            workspace.record_prediction(
                clip, frame, figure(frame, 1), model_version="m", references="r", uncertainty=0.4
            )
        assert key_frame_thumbnails(workspace, clip, make=False) is None
        key_frame_thumbnails(workspace, clip)
    found = next_frames(workspace)
    assert [each.clip for each in found[:2]] == ["a", "bb"]  # one in each clip, then the rest
    assert found[0].priority > found[2].priority > 0
    assert len({(each.clip, each.frame) for each in found}) == 5
    assert len(PriorityOrder(workspace, 99).next) == 6
    assert PriorityOrder(workspace, 0).of(long)[0] == pytest.approx((0.4 + 1 + 1) / 3)

    for frame in long.key_frames:
        workspace.record(long, frame, figure(frame, 1), Draft("ann"))
    assert {each.clip for each in next_frames(workspace)} == {"bb"}
    for frame in short.key_frames:
        workspace.record(short, frame, figure(frame, 1), Draft("ann"))
    assert next_frames(workspace) == []


def test_all_priorities_are_one_order_that_begins_with_the_next_frames(workspace):
    rng = np.random.default_rng(0)
    clips = [accepted_clip(workspace, name, 8, masked=False) for name in ("a", "b", "c")]
    for clip in clips:
        for frame in clip.key_frames:
            unsure = float(rng.random())
            workspace.record_prediction(
                clip, frame, figure(frame, 1), model_version="m", references="r", uncertainty=unsure
            )
    order = PriorityOrder(workspace)
    for clip in clips:
        order.read(clip)  # makes the thumbnails

    def ranked():
        found = {(c.name, f): value for c in clips for f, value in order.of(c).items()}
        return sorted(found, key=found.get, reverse=True)

    assert ranked()[:5] == [(each.clip, each.frame) for each in order.next]
    first = order.next[0]
    [clip] = [each for each in clips if each.name == first.clip]
    workspace.record(clip, first.frame, figure(first.frame, 1), Draft("ann"))
    changed = order.read(clip)
    assert changed[0] == clip
    assert {each.name for each in changed} == {clip.name, order.next[-1].clip}  # what comes next
    assert ranked()[:5] == [(each.clip, each.frame) for each in order.next]
    assert order.of(clip)[first.frame] == 0
    again = PriorityOrder(workspace)
    assert all(again.of(each) == order.of(each) for each in clips)


def test_thumbnails_are_made_once(workspace):
    clip = accepted_clip(workspace, "walk", 1)
    first = key_frame_thumbnails(workspace, clip)
    assert first.shape == (3, 256)
    (workspace.clip_folder("walk") / "frames" / "00005.jpg").unlink()
    again = key_frame_thumbnails(workspace, clip)
    assert np.allclose(first, again, atol=1e-3)
    assert np.allclose((first @ first.T).diagonal(), 1, atol=1e-5)
