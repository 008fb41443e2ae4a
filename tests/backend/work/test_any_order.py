"""What Label Studio tells may come in any order, and we may die at any moment."""

import json
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.store.inbox import EventState, Inbox
from backend.work.submissions import Submissions
from labeler.mask import mask_digest
from labeler.workspace.workspace import Workspace
from tests.backend.webhooks import deletion, submission, update
from tests.workspaces import make_bare_clip, square

ROOT = Path(__file__).parents[3]


# Any order


@pytest.fixture(scope="module")
def fresh_frames(tmp_path_factory):
    """A workspace with its inbox, its clip, and a frame that was not used yet, each time."""
    workspace = Workspace(tmp_path_factory.mktemp("many") / "workspace")
    clip, inbox = make_bare_clip(workspace), Inbox(workspace.database)
    submissions = Submissions(workspace, inbox, str)
    yield ((workspace, clip, inbox, submissions, 5 * number) for number in count())
    workspace.close()


CREATE_A, CREATE_B, UPDATE_A, UPDATE_B, DELETE_A, DELETE_B = range(6)
histories = st.lists(st.sampled_from(range(6)), min_size=1, unique=True).map(sorted)
"""What happened on one frame to two annotations, in the order in which it did."""


def payload_of(number, step, frame):
    annotation = 2 * number + step % 2
    if step in (DELETE_A, DELETE_B):
        return deletion(annotation)
    make = submission if step in (CREATE_A, CREATE_B) else update
    return make(square(step), annotation=annotation, clip="bare", frame=frame, at=step)


@settings(deadline=None, max_examples=40)
@given(
    arrivals=histories.flatmap(
        lambda once: st.lists(st.sampled_from(once), max_size=3).flatmap(
            lambda again: st.permutations(once + again)
        )
    ),
    pauses=st.sets(st.integers(0, 8)),
)
@example(arrivals=[DELETE_A, CREATE_B, UPDATE_A, CREATE_A], pauses=set())
@example(arrivals=[UPDATE_A, DELETE_A, DELETE_B, CREATE_B, CREATE_A, DELETE_A], pauses={0, 1, 2})
@example(arrivals=[CREATE_A, CREATE_B, UPDATE_A, UPDATE_B, DELETE_A, DELETE_B], pauses=set())
def test_any_order_of_arrival_ends_where_the_true_order_does(fresh_frames, arrivals, pauses):
    """Each thing may come late and more than once, and be taken up at once or much later."""
    workspace, clip, inbox, submissions, frame = next(fresh_frames)
    for place, step in enumerate(arrivals):
        inbox.put(payload_of(frame, step, frame))
        if place in pauses:
            submissions.take_all()
    submissions.take_all()
    happened = set(arrivals)
    deleted = {step % 2 for step in happened & {DELETE_A, DELETE_B}}
    submitted = happened - {DELETE_A, DELETE_B}
    counts = [step for step in submitted if step % 2 not in deleted]
    found = workspace.current(clip).get(frame)
    assert (found and found.digest) == (mask_digest(square(max(counts))) if counts else None)
    recorded = [each.digest for each in workspace.revisions(clip, frame)]
    assert sorted(recorded) == sorted(mask_digest(square(step)) for step in submitted)
    assert not inbox.listed(EventState.REFUSED, EventState.ASKING, EventState.PENDING)


# Any moment


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "steps", "counts", "files"),
    [
        ("submit", 7, [0], ["00000/1.png"]),
        ("delete", 4, [], ["00000/1.png", "00000/1.withdrawn"]),
    ],
)
def test_killed_at_any_step_an_event_is_taken_up_once_and_whole(
    tmp_path, what, steps, counts, files
):
    done = subprocess.run(
        [sys.executable, "-m", "tests.backend.crash_while_taking", str(tmp_path), what],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    killed = [trial for trial in trials if not trial["survived"]]
    assert len(killed) >= steps
    assert killed[0]["left"] == "pending"
    *_, last = trials
    assert last["survived"]
    for trial in trials:
        assert trial["again"] == last["again"], trial["step"]
    assert (last["again"]["counts"], list(last["again"]["files"])) == (counts, files)
    assert len(last["again"]["revisions"]) == 1
    assert last["again"]["faults"] == last["again"]["pending"] == []
