"""A third person's decision in Label Studio: from the choice to the mask that is accepted."""

import pytest

from backend.store.inbox import EventState
from backend.store.tables import metadata
from backend.studio.annotation import FIRST_IS_RIGHT, SECOND_IS_RIGHT
from backend.studio.projects import Role, keep_project
from labeler.mask import mask_digest
from labeler.review.crosscheck import record_check
from labeler.review.standing import Stage, standing
from labeler.revision import Draft, Shown
from tests.backend.webhooks import PROJECT, deletion, submission
from tests.studio.annotator import choice
from tests.workspaces import make_clip, square


@pytest.fixture
def clip(workspace, inbox):
    """A clip whose frame 5 is in conflict: the first mask is "user 1"'s, the second "user 2"'s."""
    workspace.database.complete(metadata)
    keep_project(workspace, Role.DECIDE, "http://studio", PROJECT)
    clip = make_clip(workspace)
    workspace.record(clip, 5, square(0), Draft("user 1"))
    record_check(workspace, clip, 5, square(20), Draft("user 2", look=Shown.CONFIRM))
    assert standing(workspace.revisions(clip, 5)).stage is Stage.CONFLICT
    return clip


@pytest.fixture
def tell(inbox, submissions):
    def told(*payloads):
        for payload in payloads:
            inbox.put(payload)
        submissions.take_all()
        return inbox.listed(*EventState)[-1]

    return told


def decision(said, *, first=1, second=2, **more):
    payload = submission(None, **more)
    payload["annotation"]["result"] = choice(said)
    payload["task"]["data"] |= {"first": first, "second": second}
    return payload


def digest_now(workspace, clip):
    found = standing(workspace.revisions(clip, 5))
    return found.stage, found.first.digest


@pytest.mark.parametrize(
    ("said", "mask"), [(FIRST_IS_RIGHT, square(0)), (SECOND_IS_RIGHT, square(20))]
)
def test_the_chosen_mask_is_accepted_by_who_is_logged_in(workspace, clip, tell, said, mask):
    assert tell(decision(said)).state is EventState.DONE
    assert digest_now(workspace, clip) == (Stage.ACCEPTED, mask_digest(mask))
    accepted = workspace.current(clip)[5]
    assert (accepted.author, accepted.look) == ("user 3", Shown.DECIDE)


def test_telling_it_twice_records_it_once(workspace, clip, tell):
    tell(decision(FIRST_IS_RIGHT))
    before = workspace.revisions(clip, 5)
    again = decision(FIRST_IS_RIGHT, action="ANNOTATION_UPDATED", at=1)
    assert tell(again).state is EventState.DONE
    assert workspace.revisions(clip, 5) == before


def test_who_decided_may_change_their_mind_and_take_it_back(workspace, clip, tell):
    tell(decision(FIRST_IS_RIGHT))
    tell(decision(SECOND_IS_RIGHT, action="ANNOTATION_UPDATED", at=1))
    assert digest_now(workspace, clip) == (Stage.ACCEPTED, mask_digest(square(20)))
    tell(decision(FIRST_IS_RIGHT, action="ANNOTATION_UPDATED", at=2))
    assert digest_now(workspace, clip) == (Stage.ACCEPTED, mask_digest(square(0)))
    tell(deletion(7))
    assert digest_now(workspace, clip) == (Stage.CONFLICT, mask_digest(square(0)))


def test_a_decision_that_was_deleted_before_it_came_does_not_count(workspace, clip, tell):
    assert tell(deletion(7), decision(FIRST_IS_RIGHT)).state is EventState.DONE
    assert digest_now(workspace, clip)[0] is Stage.CONFLICT


@pytest.mark.parametrize("who", [1, 2])
def test_neither_of_the_two_decides(workspace, clip, tell, who):
    refused = tell(decision(FIRST_IS_RIGHT, completed_by=who))
    assert refused.state is EventState.REFUSED
    assert "a third person decides" in refused.note
    assert digest_now(workspace, clip)[0] is Stage.CONFLICT


def test_a_decision_on_masks_that_have_changed_is_refused(workspace, clip, tell):
    refused = tell(decision(FIRST_IS_RIGHT, second=1))
    assert refused.state is EventState.REFUSED
    assert "newest task" in refused.note


def test_a_second_persons_decision_does_not_replace_the_first_ones(workspace, clip, tell):
    tell(decision(FIRST_IS_RIGHT))
    refused = tell(decision(SECOND_IS_RIGHT, annotation=9, unique_id="other", completed_by=4))
    assert refused.state is EventState.REFUSED
    assert "is in no conflict" in refused.note
    assert digest_now(workspace, clip) == (Stage.ACCEPTED, mask_digest(square(0)))


def test_no_choice_is_refused_and_kept(workspace, clip, tell):
    refused = tell(decision("Reject"))
    assert refused.state is EventState.REFUSED
    assert "which mask is right" in refused.note
