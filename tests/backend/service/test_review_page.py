"""The cross-check as checkers tell of it, and as the status page shows it."""

import cv2
import numpy as np
import pytest
import sqlalchemy as sa

from backend.store import tables
from backend.store.inbox import EventState
from backend.store.jobs import Job, JobKind
from backend.studio.annotation import REASON, REJECTED, UNSAID, VERDICT, opinion_of
from labeler.inspect.preview import BOTH, FIRST, SECOND, WIDTH, conflict_picture
from labeler.review.crosscheck import record_check
from labeler.review.standing import Stage, standing
from labeler.revision import Draft, Provenance, Shown
from labeler.workspace.tables import agreements
from tests.backend.callers import basic
from tests.backend.webhooks import deletion, region, submission, update
from tests.workspaces import SIZE, make_clip, square

CHECKING, UNSEEN = 2, 3


@pytest.fixture
def clip(workspace):
    return make_clip(workspace)


@pytest.fixture
def tell(workspace, inbox, submissions):
    """Label Studio tells of one of three projects, and it is taken up."""
    rows = [
        {"role": "labeling", "url": "http://studio", "project": 1},
        {"role": "check", "url": "http://studio", "project": CHECKING},
        {"role": "blind", "url": "http://studio", "project": UNSEEN},
    ]
    with workspace.database.writing() as connection:
        connection.execute(sa.insert(tables.projects), rows)

    def told(payload, project=1, **data):
        payload["project"]["id"] = project
        if "task" in payload:
            payload["annotation"]["project"] = project
            payload["task"]["data"] |= data
        inbox.put(payload)
        return submissions.take_all()

    return told


@pytest.fixture
def now(workspace, clip):
    return lambda: standing(workspace.revisions(clip, 5))


def choice(word):
    value = {"choices": [word]}
    return {"from_name": VERDICT, "to_name": "image", "type": "choices", "value": value}


def text(*words):
    return {"from_name": REASON, "to_name": "image", "type": "textarea", "value": {"text": words}}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([], ""),
        ([choice("Accept or repair")], ""),
        ([choice("Accept or repair"), text(["a remark"])], ""),
        ([choice(REJECTED)], UNSAID),
        ([choice(REJECTED), text(" no ", "hat")], "no; hat"),
        ([text("first the reason"), choice(REJECTED)], "first the reason"),
        ([choice(REJECTED), text(3, None)], UNSAID),
        ([choice(REJECTED), {"from_name": REASON, "value": []}], UNSAID),
        ([{"from_name": VERDICT}, {"from_name": VERDICT, "value": {"choices": None}}], ""),
    ],
)
def test_what_a_checker_says_is_read(said, reason):
    opinion = opinion_of([region(square(5)), *said], *SIZE)
    assert opinion.reason == reason
    assert opinion.found.ignored == 0
    assert np.array_equal(opinion.found.mask, square(5))


def test_a_check_says_of_which_mask_it_is(workspace, clip, tell, now):
    tell(submission(square(5)))
    assert now().stage is Stage.UNCHECKED
    check = submission(square(5), annotation=8, completed_by=9, at=1)
    assert tell(check, CHECKING, revision=1) == {"walk"}
    assert now().stage is Stage.ACCEPTED
    assert now().first.author == "user 9"
    tell(update(square(9), at=2))  # the first person changes theirs
    assert now().stage is Stage.UNCHECKED
    again = submission(square(5), annotation=9, completed_by=9, at=3)
    tell(again, CHECKING, revision=1)  # on the page that was still open
    assert now().stage is Stage.UNCHECKED
    last = submission(square(9), annotation=10, completed_by=9, at=4)
    tell(last, CHECKING, revision=now().first.number)
    assert now().stage is Stage.ACCEPTED


def test_a_check_that_is_deleted_takes_its_acceptance_along(tell, now):
    tell(submission(square(5)))
    tell(submission(square(5), annotation=8, completed_by=9, at=1), CHECKING, revision=1)
    assert now().stage is Stage.ACCEPTED
    tell(deletion(8), CHECKING)
    assert now().stage is Stage.UNCHECKED


def test_one_made_unseen_may_come_first(tell, now, workspace, clip):
    tell(submission(square(5), annotation=8, completed_by=9), UNSEEN, look="blind")
    assert workspace.current(clip) == {}
    tell(submission(square(5), at=1))
    assert now().stage is Stage.ACCEPTED
    assert workspace.current(clip)[5].look is Shown.BLIND


def test_nobody_checks_their_own_and_it_is_kept(tell, now, inbox):
    tell(submission(square(5)))
    assert tell(submission(square(5), annotation=8, at=1), CHECKING, revision=1) == set()
    (refused,) = inbox.listed(EventState.REFUSED)
    assert "user 3 has masked walk frame 5; a check needs another person" in refused.note
    assert refused.body["annotation"]["result"]
    assert now().stage is Stage.UNCHECKED


@pytest.mark.parametrize("data", [{}, {"revision": "1"}, {"revision": 0}, {"look": "label"}])
def test_a_task_that_says_nothing_is_refused(clip, tell, inbox, data):
    tell(submission(square(5)))
    tell(submission(square(5), annotation=8, completed_by=9, at=1), CHECKING, **data)
    (refused,) = inbox.listed(EventState.REFUSED)
    assert "neither which mask it shows" in refused.note


def in_conflict(workspace, clip):
    workspace.record(clip, 5, square(5), Draft("ann <b>"))
    record_check(
        workspace, clip, 5, square(15), Draft("bob", look=Shown.CONFIRM, reason="<i>hat</i>")
    )


def test_a_conflict_is_shown_and_decided_on_the_page(client, service, workspace, clip, now):
    in_conflict(workspace, clip)
    page = client.get("/", headers=basic()).text
    assert "Two people, two masks" in page
    assert "ann &lt;b&gt; and bob" in page
    assert "&lt;i&gt;hat&lt;/i&gt;" in page
    assert "http-equiv" not in page  # nobody's half-written reason is reloaded away
    shown = client.get("/conflicts/walk/5.jpg", headers=basic())
    picture = cv2.imdecode(np.frombuffer(shown.data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (360, 3 * WIDTH, 3)

    path, form = "/conflicts/walk/5", {"person": "cid", "verdict": "second", "reason": "a hat"}
    evil = basic() | {"Origin": "http://evil.example"}
    assert client.post(path, data=form, headers=evil).status_code == 403
    for incomplete in ({"person": " "}, {"verdict": "third"}, {"person": "bob"}):
        assert client.post(path, data=form | incomplete, headers=basic()).status_code == 400
    assert now().stage is Stage.CONFLICT
    assert client.post(path, data=form, headers=basic()).status_code == 303
    verdict = workspace.current(clip)[5]
    assert (verdict.provenance, verdict.author, verdict.reason) == (
        Provenance.ACCEPTED,
        "cid",
        "a hat",
    )
    assert np.array_equal(workspace.read(verdict), square(15))
    assert service.queue.waiting() == [Job(JobKind.REFRESH, "walk")]
    assert client.post(path, data=form, headers=basic()).status_code == 400  # a second click
    assert client.get("/conflicts/walk/5.jpg", headers=basic()).status_code == 404
    assert "Two people" not in client.get("/", headers=basic()).text


def test_the_page_tells_who_waits_for_whom_and_who_agrees(client, workspace, clip):
    workspace.record(clip, 0, square(0), Draft("ann"))
    workspace.record(clip, 5, square(5), Draft("ann"))
    workspace.record_prediction(
        clip, 10, square(9), model_version="m", references="r", uncertainty=0.1
    )
    workspace.record(clip, 10, square(10), Draft("ann"))
    record_check(workspace, clip, 5, square(5), Draft("bob", look=Shown.CONFIRM))
    record_check(workspace, clip, 10, square(8), Draft("cid", look=Shown.AUDIT))
    page = client.get("/", headers=basic()).text
    waits = '2 frames wait for a person other than ann (<a href="/clips/walk">walk</a>).'
    assert waits in page
    assert "<td>ann</td><td>bob</td>" in page
    assert "Audit of 1 frame:" in page


def test_a_conflict_is_drawn_in_colours_that_say_whose(workspace, clip):
    image = workspace.frames(clip)[5]
    first, second = square(5), square(25)
    drawn = conflict_picture(image, first, second)
    height = drawn.shape[0]

    def hue(x, y, panel):
        return drawn[round(y * height / SIZE[0]), panel * WIDTH + round(x * WIDTH / SIZE[1])]

    def nearest(colour):
        named = {"first": FIRST, "second": SECOND, "both": BOTH}
        tint = colour - colour.mean()
        return max(named, key=lambda n: np.dot(named[n] - np.mean(named[n]), tint))

    assert nearest(hue(18, 30, 2)) == "first"
    assert nearest(hue(60, 30, 2)) == "second"
    assert nearest(hue(40, 30, 2)) == "both"
    outside = hue(110, 80, 2).astype(int)
    assert np.ptp(outside) < 12  # grey where nobody is


def test_an_empty_check_asks_whether_nobody_is_there(workspace, clip, tell, now, inbox):
    tell(submission(square(5)))
    check = submission(None, annotation=8, completed_by=9, at=1)
    tell(check, CHECKING, revision=1)
    [asking] = inbox.listed(EventState.ASKING)
    assert now().stage is Stage.UNCHECKED
    inbox.settle(asking, EventState.CONFIRMED)
    tell(submission(square(5), annotation=9, completed_by=3, frame=10))  # takes up what waits, too
    assert now().stage is Stage.CONFLICT
    assert workspace.current(clip)[5].area  # no mask is lost


def test_a_damaged_mask_is_named_and_the_page_goes_on(client, workspace, clip):
    first = workspace.record(clip, 5, square(5), Draft("ann", annotation="1"))
    record_check(workspace, clip, 5, square(20), Draft("bob", annotation="2", look=Shown.CONFIRM))
    make_clip(workspace, "other")
    with workspace.database.writing() as connection:
        connection.execute(sa.delete(agreements))  # a cache, which may be lost
    workspace.mask_path(first).unlink()
    page = client.get("/", headers=basic())
    assert page.status_code == 200
    assert "Masks that cannot be read" in page.text
    assert str(workspace.mask_path(first)) in page.text
    assert "other" in page.text
