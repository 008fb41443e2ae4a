"""Real clips through the whole way: two people, one more, and the dataset that comes of it."""

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from backend.cli.stack import running
from backend.settings import Settings
from backend.store.inbox import EventState, Inbox
from backend.studio.annotation import (
    FIRST_IS_RIGHT,
    FIRST_MASK,
    LABEL,
    REASON,
    REJECTED,
    SECOND_IS_RIGHT,
    SECOND_MASK,
    VERDICT,
    from_result,
)
from backend.studio.projects import Role
from labeler.clip import frame_name
from labeler.mask import Mask, read_mask
from labeler.review.standing import Stage, standing
from labeler.revision import Shown
from labeler.workspace.workspace import Workspace
from tests.studio.annotator import Annotator, another_user, choice
from tests.studio.real_clips import real_clip, true_masks

NAMES = ("rollerblade", "kite-walk", "tennis")

Frame = tuple[str, int]


def wrong(mask: Mask) -> Mask:
    """A mask that misses its left half, and has a piece that is nobody's."""
    found = mask.copy()
    columns = np.flatnonzero(mask.any(axis=0))
    found[:, : columns[len(columns) // 2]] = False
    found[:60, :60] = True
    return found


def rejection(reason: str) -> list[dict[str, Any]]:
    """What the page adds to an annotation for a rejection with its reason."""
    common = {"to_name": "image", "id": "said"}
    choice = {"from_name": VERDICT, "type": "choices", "value": {"choices": [REJECTED]}}
    text = {"from_name": REASON, "type": "textarea", "value": {"text": [reason]}}
    return [common | choice, common | text | {"id": "why"}]


def test_three_clips_from_two_annotators_to_a_dataset(shared_data: Path, tmp_path: Path) -> None:
    video = shared_data / "video"
    workspace = Workspace(tmp_path / "workspace")
    clips = {name: real_clip(workspace, video, name) for name in NAMES}
    truths = {name: true_masks(video, clip) for name, clip in clips.items()}
    frames = [(name, frame) for name in NAMES for frame in truths[name]]
    # The first person is wrong here, the second there; twice the second merely says no.
    first_wrong = {frames[3], frames[-2]}
    second_wrong = {frames[8]}
    rejected = {frames[5]}
    planted = first_wrong | second_wrong | rejected

    def stage(at: Frame) -> Stage:
        return standing(workspace.revisions(clips[at[0]], at[1])).stage

    environment = mock.patch.dict(os.environ, {"MVPS_AUDIT_SHARE": "0.1"})
    options = ["--model", "copy"]
    with environment, running(Settings(workspace=workspace.root), options, print) as stack:
        ann = Annotator(stack, workspace)
        ann.wait_until_quiet(240)
        for name, frame in frames:
            mask = truths[name][frame]
            ann.submit(name, frame, wrong(mask) if (name, frame) in first_wrong else mask)
        ann.wait_until_quiet(240)
        assert {stage(at) for at in frames} == {Stage.UNCHECKED}

        own = Annotator(stack, workspace, Role.CHECK)
        own.until(lambda: own.look_again() or len(own.tasks) == len(frames), "tasks to check", 120)
        own.submit(*frames[0], truths[frames[0][0]][frames[0][1]])  # one's own mask
        inbox = Inbox(workspace.database)
        own.until(lambda: inbox.listed(EventState.REFUSED), "nobody checks their own", 60)
        [refused] = inbox.listed(EventState.REFUSED)
        assert "another person" in refused.note
        assert stage(frames[0]) is Stage.UNCHECKED

        bob = Annotator(stack, workspace, Role.CHECK, another_user(stack, "bob@localhost.example"))
        for name, frame in frames:
            first = (
                wrong(truths[name][frame])
                if (name, frame) in first_wrong
                else (truths[name][frame])
            )
            np.testing.assert_array_equal(bob.shown(name, frame), first)  # what he is to judge
            truth = truths[name][frame]
            if (name, frame) in rejected:
                bob.submit(name, frame, truth, *rejection("the racket is no person"))
            else:
                bob.submit(name, frame, wrong(truth) if (name, frame) in second_wrong else truth)
        bob.wait_until_quiet(240)
        assert {at for at in frames if stage(at) is Stage.CONFLICT} == planted
        assert {stage(at) for at in frames if at not in planted} == {Stage.ACCEPTED}

        listed = json.loads(stack.run("review", "list", "--json"))
        assert {(each["clip"], each["frame"]) for each in listed} == planted
        by_frame = {(each["clip"], each["frame"]): each for each in listed}
        assert by_frame[frames[5]]["reason"] == "the racket is no person"
        assert by_frame[frames[3]]["agreement"]["region"] < 0.95
        assert {each["second"] for each in listed} == {"bob@localhost.example"}

        unseen = Annotator(
            stack, workspace, Role.BLIND, another_user(stack, "cid@localhost.example")
        )
        drawn = set(unseen.tasks)
        assert 0 < len(drawn) < len(frames) / 2
        for name, frame in drawn:
            assert not unseen.predictions(name, frame)
            unseen.submit(name, frame, truths[name][frame])
        unseen.wait_until_quiet(240)
        audit = json.loads(stack.run("review", "report", "--json"))["audit"]
        assert audit["frames"] == len(drawn)
        looks = [r.look for clip in clips.values() for r in workspace.revisions(clip)]
        assert looks.count(Shown.AUDIT) == len(drawn)

        def right(at: Frame) -> str:
            return SECOND_IS_RIGHT if at in first_wrong else FIRST_IS_RIGHT

        def of(mask: Mask, label: str) -> Mask:
            """The mask that a third person is shown under a label."""
            return from_result(
                [
                    each | {"value": each["value"] | {"brushlabels": [LABEL]}}
                    for each in pair
                    if each["value"]["brushlabels"] == [label]
                ],
                *mask.shape,
            ).mask

        dan = Annotator(stack, workspace, Role.DECIDE, another_user(stack, "dan@localhost.example"))
        dan.until(lambda: dan.look_again() or set(dan.tasks) == planted, "conflicts to decide", 60)
        *in_studio, by_command = sorted(planted)
        for at in in_studio:
            name, frame = at
            [pair] = [each.result for each in dan.predictions(name, frame)]
            truth = truths[name][frame]
            rightly = FIRST_MASK if right(at) == FIRST_IS_RIGHT else SECOND_MASK
            np.testing.assert_array_equal(of(truth, rightly), truth)
            assert dan.data(name, frame)["second_by"] == "bob@localhost.example"
            other = FIRST_IS_RIGHT if right(at) == SECOND_IS_RIGHT else SECOND_IS_RIGHT
            number = dan.choose(name, frame, other if at == in_studio[0] else right(at))
            if at == in_studio[0]:  # a slip, mended at once
                dan.wait_until_quiet(240)
                assert stage(at) is Stage.ACCEPTED
                dan.api.annotations.update(id=number, result=choice(right(at)))
        word = "second" if by_command in first_wrong else "first"
        stack.run("review", "decide", *map(str, by_command), word, "--by", "eve")
        dan.wait_until_quiet(240)
        assert {stage(at) for at in frames} == {Stage.ACCEPTED}
        for name, frame in in_studio:
            accepted = workspace.current(clips[name])[frame]
            assert (accepted.author, accepted.look) == ("dan@localhost.example", Shown.DECIDE)
            dan.until(lambda at=(name, frame): dan.data(*at)["stage"] == "accepted", "told", 60)
        dataset = tmp_path / "dataset"
        stack.run("export", str(dataset))
        stack.run("validate", str(dataset))
        for person in (ann, own, bob, unseen, dan):
            person.studio.close()
    for name, frame in frames:
        file = dataset / "Annotations" / "Full-Resolution" / name / f"{frame_name(frame)}.png"
        np.testing.assert_array_equal(read_mask(file), truths[name][frame])
    workspace.close()
