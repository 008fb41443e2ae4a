"""What a submission costs the database: as much in a long clip as in a short one."""

from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest
import sqlalchemy as sa

from backend.store import tables
from backend.studio.client import StudioTask
from backend.studio.projects import Role, keep_project
from backend.studio.sync import LabelingSync
from backend.work.preannotate import refresh
from labeler.likeness import write_thumbnails
from labeler.revision import Provenance, Shown
from model.engines.baselines.baselines import NearestCopy
from tests.backend.callers import predict
from tests.backend.webhooks import NOON, PROJECT, submission, update
from tests.workspaces import make_bare_clip, square

LENGTHS = (21, 101)
CHECK, BLIND = PROJECT + 1, PROJECT + 2


@contextmanager
def counted():
    """Count the statements that are executed, by their first word and their table."""
    found = Counter()

    def note(connection, cursor, statement, *rest):
        if not statement.startswith("BEGIN"):
            words = statement.replace('"', "").split()
            place = {"SELECT": "FROM", "INSERT": "INTO", "DELETE": "FROM", "UPDATE": "UPDATE"}
            found[words[0], words[words.index(place[words[0]]) + 1]] += 1

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.fixture(params=LENGTHS)
def clip(request, workspace, inbox):
    for number, role in enumerate((Role.LABELING, Role.CHECK, Role.BLIND), PROJECT):
        keep_project(workspace, role, "http://studio", number)
    clip = make_bare_clip(workspace, "walk", request.param)
    for frame in clip.key_frames:
        predict(workspace, clip, frame, square(1))
    return clip


@pytest.fixture
def cost(inbox, submissions):
    """What it costs to take up what Label Studio tells."""

    def taken(payload):
        inbox.put(payload)
        (event,) = inbox.pending()
        with counted() as found:
            assert submissions.take(event) == {"walk"}
        return found

    return taken


def opinion(mask, project, **shown):
    """What a second person submits in one of the projects of the cross-check."""
    payload = submission(mask, annotation=8, at=9, completed_by=4, project=project)
    payload["task"]["data"] |= shown
    return payload


CORRECTION = {
    ("SELECT", "clips"): 1,
    ("SELECT", "projects"): 1,
    ("SELECT", "annotations"): 1,
    ("INSERT", "annotations"): 1,
    ("SELECT", "revisions"): 2,  # to judge the mask by, and again where it is written
    ("INSERT", "revisions"): 1,
    ("UPDATE", "events"): 2,
}


def test_a_correction_reads_its_frame_once_before_it_writes(workspace, clip, cost):
    assert cost(submission(square(2))) == CORRECTION
    again = CORRECTION | {("UPDATE", "annotations"): 1}
    del again["INSERT", "annotations"]
    assert cost(update(square(3), at=1)) == again
    assert cost(submission(square(2), annotation=9, frame=100)) == CORRECTION


def test_a_check_that_agrees_writes_twice_and_reads_no_more_than_that(workspace, clip, cost):
    cost(submission(square(2)))
    found = cost(opinion(square(2), CHECK, revision=2))
    assert workspace.current(clip)[5].provenance is Provenance.ACCEPTED
    assert found == CORRECTION | {("SELECT", "revisions"): 3, ("INSERT", "revisions"): 2}


def test_a_correction_that_agrees_with_an_unseen_one_is_accepted_at_once(workspace, clip, cost):
    cost(opinion(square(2), BLIND, look=Shown.BLIND.value))
    found = cost(submission(square(2)))
    assert workspace.current(clip)[5].provenance is Provenance.ACCEPTED
    assert found == CORRECTION | {("SELECT", "revisions"): 3, ("INSERT", "revisions"): 2}


def test_masking_after_it_reads_the_clip_before_and_after(workspace, clip, cost):
    cost(submission(square(2)))
    with counted() as found:
        done = refresh(workspace, clip, NearestCopy(), limit=8)
    assert len(done.segmented) == 8
    assert found == {("SELECT", "revisions"): 2 + 8, ("INSERT", "revisions"): 8}


class Wall:
    """A Label Studio whose tasks have a prediction each, as soon as one was added."""

    def __init__(self):
        self.added = set()

    def tasks(self, project, since=None, clip=""):
        return [StudioTask(number, {}, NOON, 0, 1) for number in sorted(self.added)]

    def predictions(self, task):
        return [task + 1000]

    def change_prediction(self, number, prediction, model):
        return True

    def add_tasks(self, project, data):
        return [1000 + each["frame"] for each in data]

    def add_predictions(self, project, predictions, model):
        self.added |= {each["task"] for each in predictions}

    def set_field(self, project, tasks, name, value): ...


def test_what_label_studio_was_told_is_kept_at_once(workspace, clip, inbox, cost):
    looks = workspace.root / "looks" / "walk.npy"
    looks.parent.mkdir()
    write_thumbnails(looks, np.ones((len(clip.key_frames), 4), np.float32))
    sync = LabelingSync(workspace, inbox, Wall(), PROJECT, "", "net-1.0.0+1")
    assert sync.add_missing_tasks() == len(clip.key_frames)
    assert sync.publish(clip) == len(clip.key_frames)
    cost(submission(square(2)))
    refresh(workspace, clip, NearestCopy())
    with counted() as found:
        assert sync.publish(clip) == len(clip.key_frames)
    assert found == {
        ("SELECT", "tasks"): 1 + 2,
        ("UPDATE", "tasks"): 2,
        ("SELECT", "revisions"): 2,
        ("SELECT", "troubles"): 1,  # is a mask readable now that was not before?
    }
    with counted() as found:
        assert sync.publish(clip) == 0
    assert found == {("SELECT", "tasks"): 1, ("SELECT", "revisions"): 2}
    with workspace.database.reading() as connection:
        rows = connection.execute(sa.select(tables.tasks).order_by(tables.tasks.c.frame)).all()
    last = {frame: each[-1].number for frame, each in workspace.revisions_by_frame(clip).items()}
    assert [(row.frame, row.task) for row in rows] == [(n, 1000 + n) for n in clip.key_frames]
    assert {row.frame: row.shown for row in rows} == last | {5: 1}
    watch = rows[1].fields.pop("watch")
    assert watch.startswith("/clips/walk?key=")
    assert rows[1].fields == {
        "provenance": "corrected",
        "weights": "",
        "uncertainty": 0.0,
        "priority": 0.0,
        "turn": "done",
    }
