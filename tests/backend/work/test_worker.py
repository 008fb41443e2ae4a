"""The worker on a real workspace and a real queue, with engines whose work can be counted."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.store.facts import STUDIO
from backend.store.inbox import EventState
from backend.store.jobs import Job, JobKind
from backend.studio.client import StudioAwayError
from backend.work.preannotate import refresh
from backend.work.worker import LONGEST_PAUSE, SLICE
from labeler.errors import LabelerError
from labeler.revision import Draft, Provenance, Shown
from labeler.workspace.integrity import faults
from labeler.workspace.troubles import Troubles
from model.engines.baselines.baselines import NearestCopy
from tests.backend.at_work import work_off
from tests.backend.webhooks import deletion, submission
from tests.backend.work.test_refresh import Scripted, predicted
from tests.workspaces import make_clip, square

ROOT = Path(__file__).parents[3]


def recorded(workspace, clip):
    return [
        (each.frame, each.number) for each in workspace.revisions(clip) if not each.provenance.human
    ]


def test_a_submission_is_recorded_and_exactly_what_it_helps_is_masked_again(
    workspace, service, make_worker
):
    clip = make_clip(workspace, frame_count=101)
    other = make_clip(workspace, "run")
    engine = Scripted()
    for each in (clip, other):
        refresh(workspace, each, engine)
    for frame in (20, 80):
        service.inbox.put(submission(square(frame), annotation=frame, frame=frame))
    worker = make_worker(engine)
    worker.perform(Job(JobKind.TAKE))
    work_off(worker, service.queue)
    before = recorded(workspace, clip)
    untouched = recorded(workspace, other)
    engine.asked.clear()

    service.inbox.put(submission(square(50), annotation=50, frame=50, at=1))
    service.queue.ask(Job(JobKind.TAKE))
    done = work_off(worker, service.queue)
    between = [25, 30, 35, 40, 45, 55, 60, 65, 70, 75]
    assert sorted(engine.asked) == between
    assert sorted({frame for frame, _ in set(recorded(workspace, clip)) - set(before)}) == between
    assert recorded(workspace, other) == untouched
    assert engine.asked[:SLICE] == [30, 35, 40, 45, 55, 60, 65, 70]  # the nearest come first
    assert engine.asked[SLICE:] == [25, 75]
    kinds = [job.kind for job in done]
    assert kinds == ["take", "show", "refresh", "refresh", "publish"]
    book, current = workspace.references(clip), workspace.current(clip)
    for frame in predicted(workspace, clip):
        assert current[frame].references == book.digest_for(frame)
    assert {20, 50, 80} == current.keys() - set(predicted(workspace, clip))


def test_a_deletion_is_undone_in_the_neighbours(workspace, service, make_worker):
    clip = make_clip(workspace, frame_count=31)
    worker = make_worker(NearestCopy())
    service.inbox.put(submission(square(0), annotation=1, frame=0))
    worker.perform(Job(JobKind.TAKE))
    work_off(worker, service.queue)
    as_it_was = {frame: each.digest for frame, each in workspace.current(clip).items()}
    service.inbox.put(submission(square(20), annotation=2, frame=20))
    worker.perform(Job(JobKind.TAKE))
    work_off(worker, service.queue)
    assert np.array_equal(workspace.read(workspace.current(clip)[30]), square(20))
    service.inbox.put(deletion(2))
    worker.perform(Job(JobKind.TAKE))
    work_off(worker, service.queue)
    now = workspace.current(clip)
    assert {frame: each.digest for frame, each in now.items()} == as_it_was
    assert now[20].provenance is Provenance.PREDICTED


def test_a_submission_waits_for_one_frame_at_most(workspace, service, make_worker):
    clip = make_clip(workspace, frame_count=101)

    def submit(frame):
        if len(engine.asked) == 3:
            service.inbox.put(submission(square(100), annotation=9, frame=100))
            service.queue.ask(Job(JobKind.TAKE))

    engine = Scripted(before=submit)
    worker = make_worker(engine)
    service.queue.ask(Job(JobKind.REFRESH, "walk"))
    first, second, *rest = work_off(worker, service.queue)
    assert (first.kind, second.kind) == (JobKind.REFRESH, JobKind.TAKE)
    assert engine.asked[:4] == [0, 5, 10, 15]  # it was submitted while 15 was masked
    assert 95 in engine.asked[4 : 4 + SLICE]  # it went on beside what was corrected
    assert rest.pop(0).kind is JobKind.SHOW  # what comes next has changed
    assert {job.kind for job in rest} == {JobKind.REFRESH, JobKind.PUBLISH}
    book = workspace.references(clip)
    assert len(workspace.current(clip)) == 21
    for frame in predicted(workspace, clip):
        assert workspace.current(clip)[frame].references == book.digest_for(frame)


def test_a_slow_engines_masks_are_shown_slice_by_slice(
    workspace, service, make_worker, monkeypatch
):
    """A submission is not followed by half a minute without any news."""
    clip = make_clip(workspace, frame_count=101)
    shown = []

    class Recording:
        def publish(self, clip, stop):
            shown.append(len(workspace.current(clip)))

    monkeypatch.setattr("backend.work.worker.SLOW", 0.0)
    worker = make_worker(Scripted(), Recording)
    service.queue.ask(Job(JobKind.REFRESH, clip.name))
    kinds = [job.kind for job in work_off(worker, service.queue)]
    assert kinds == ["refresh", "show", "refresh", "show", "refresh", "publish"]
    assert shown == [SLICE, 2 * SLICE, 21]


def test_a_submission_does_not_wait_until_all_masks_are_sent(workspace, service, make_worker):
    clip = make_clip(workspace)
    refresh(workspace, clip, Scripted())
    sent = []

    class Slow:
        def publish(self, clip, stop):
            for frame in clip.key_frames:
                if stop():
                    return
                sent.append(frame)
                if len(sent) == 2:
                    service.inbox.put(submission(square(15), annotation=9, frame=15))
                    service.queue.ask(Job(JobKind.TAKE))

    worker = make_worker(Scripted(), Slow)
    service.queue.ask(Job(JobKind.PUBLISH, clip.name))
    kinds = [job.kind for job in work_off(worker, service.queue)]
    assert kinds == ["publish", "take", "show", "refresh", "publish", "publish"]
    assert sent == [0, 5, *3 * list(clip.key_frames)]


def test_a_frame_that_somebody_waits_for_comes_first(workspace, service, make_worker):
    make_clip(workspace, frame_count=101)
    engine = Scripted()
    worker = make_worker(engine)
    service.queue.ask(Job(JobKind.REFRESH, "walk"))
    service.queue.ask(Job(JobKind.MASK, "walk", 60))
    work_off(worker, service.queue)
    assert engine.asked[0] == 60
    assert sorted(engine.asked) == list(range(0, 101, 5))  # and each of them once
    service.queue.ask(Job(JobKind.MASK, "walk", 60))  # nothing has changed
    work_off(worker, service.queue)
    assert len(engine.asked) == 21


def test_whatever_was_missed_is_found_by_reconciling(workspace, service, make_worker):
    """Nobody woke the worker: the service was killed between keeping an event and asking."""
    clip = make_clip(workspace, frame_count=31)
    service.inbox.put(submission(square(10), frame=10))
    worker = make_worker(NearestCopy())
    worker.perform(Job(JobKind.RECONCILE))
    work_off(worker, service.queue)
    for frame in clip.key_frames:
        assert np.array_equal(workspace.read(workspace.current(clip)[frame]), square(10))
    before = workspace.revisions(clip)
    worker.perform(Job(JobKind.RECONCILE))
    assert [job.kind for job in work_off(worker, service.queue)] == ["take", "refresh", "publish"]
    assert workspace.revisions(clip) == before


def test_reconciling_again_asks_for_nothing_that_waits_already(workspace, service, make_worker):
    make_clip(workspace)
    worker = make_worker(Scripted())
    for _ in range(3):
        worker.perform(Job(JobKind.RECONCILE))
    assert service.queue.waiting().count(Job(JobKind.REFRESH, "walk")) == 1


def test_a_job_on_a_clip_that_is_not_there_fails_alone(make_worker):
    worker = make_worker(Scripted())
    for kind in (JobKind.MASK, JobKind.REFRESH):
        with pytest.raises(LabelerError, match="no clip 'gone'"):
            worker.perform(Job(kind, "gone", 5))
    worker.perform(Job(JobKind.PUBLISH, "gone"))  # there is nobody to publish to


KILLED = """
import os, signal, sys, time
from pathlib import Path
from backend.store.inbox import Inbox
from backend.store.jobs import JobQueue
from backend.work.submissions import Submissions
from backend.work.worker import Worker
from labeler.workspace.workspace import Workspace
from tests.backend.work.test_refresh import Scripted

def die(frame):
    if frame == int(sys.argv[2]):
        os.kill(os.getpid(), getattr(signal, sys.argv[3]))
        time.sleep(1.5)  # huey looks for signals ten times a second

workspace = Workspace(Path(sys.argv[1]))
submissions = Submissions(workspace, Inbox(workspace.database), str)
engine = Scripted(before=die)
Worker(workspace, lambda: engine, JobQueue(workspace.root), submissions, lambda: None).run(180)
"""


def run_until(workspace, frame, how):
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(workspace.root), str(frame), how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == (-signal.SIGKILL if how == "SIGKILL" else 0), run.stderr


def test_what_a_killed_worker_left_is_found_again(workspace, service, make_worker, log):
    clip = make_clip(workspace, frame_count=61)
    service.inbox.put(submission(square(10), frame=10))
    run_until(workspace, 45, "SIGKILL")
    current = workspace.current(clip)
    assert current[10].provenance is Provenance.CORRECTED
    assert 0 < len(predicted(workspace, clip)) < 12
    (running,) = [row for row in log.latest() if row.state == "running"]
    assert running.kind == "refresh"
    done = {frame: each for frame, each in current.items() if frame != 10}

    engine = Scripted()
    worker = make_worker(engine)
    worker.perform(Job(JobKind.RECONCILE))
    work_off(worker, service.queue)
    assert sorted(engine.asked) == sorted(set(clip.key_frames) - set(current))
    assert workspace.current(clip).items() >= done.items()  # none is masked twice
    assert len(workspace.current(clip)) == 13
    assert service.inbox.listed(EventState.DONE)
    assert faults(workspace, deep=True) == []


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_finishes_its_slice(workspace, service, log):
    clip = make_clip(workspace, frame_count=101)
    run_until(workspace, 20, "SIGTERM")
    assert len(predicted(workspace, clip)) == SLICE
    assert {row.state for row in log.latest()} == {"done"}
    assert Job(JobKind.REFRESH, "walk") in service.queue.waiting()


# Label Studio, away and back


class Away:
    """What brings masks to Label Studio, as long as it does not answer, or refuses."""

    def __init__(self, error):
        self.error, self.asked = error, []

    def publish(self, clip, stop=None):
        self.asked.append(clip.name)
        raise self.error

    show = publish

    def fetch(self, *, full):
        self.asked.append("fetch")
        raise self.error


def test_while_label_studio_is_away_work_goes_on_and_each_clip_waits_once(
    workspace, service, make_worker
):
    make_clip(workspace)
    away = Away(StudioAwayError("It does not answer."))
    worker = make_worker(NearestCopy(), lambda: away)
    worker.perform(Job(JobKind.RECONCILE))
    work_off(worker, service.queue)
    assert away.asked == ["fetch", "walk"]
    assert len(workspace.current(workspace.clip("walk"))) == 4  # work goes on without it
    assert service.queue.waiting() == [Job(JobKind.PUBLISH, "walk", attempt=1)]
    assert service.facts.get(STUDIO)[0] == "It does not answer."
    for _ in range(3):
        worker.perform(Job(JobKind.RECONCILE))
        work_off(worker, service.queue)
    assert away.asked == ["fetch", "walk"] * 4
    assert service.queue.waiting() == [Job(JobKind.PUBLISH, "walk", attempt=1)]


@pytest.mark.parametrize(("attempt", "pause"), [(0, 1), (3, 8), (6, LONGEST_PAUSE), (5000, 60)])
def test_the_pauses_grow_to_a_minute(workspace, service, make_worker, attempt, pause, monkeypatch):
    make_clip(workspace)
    asked = []
    monkeypatch.setattr(service.queue, "ask", lambda job, delay=0.0: asked.append((job, delay)))
    worker = make_worker(NearestCopy(), lambda: Away(StudioAwayError("It does not answer.")))
    worker.perform(Job(JobKind.PUBLISH, "walk", attempt=attempt))
    assert asked == [(Job(JobKind.PUBLISH, "walk", attempt=attempt + 1), pause)]


def test_what_could_not_be_shown_waits_for_all_of_it_to_be_published(
    workspace, service, make_worker
):
    make_clip(workspace)
    worker = make_worker(NearestCopy(), lambda: Away(StudioAwayError("It does not answer.")))
    worker.perform(Job(JobKind.SHOW, "walk"))
    assert service.queue.waiting() == []


def test_what_label_studio_refuses_is_told_and_not_tried_again(workspace, service, make_worker):
    make_clip(workspace)
    worker = make_worker(NearestCopy(), lambda: Away(LabelerError("It refuses the token.")))
    with pytest.raises(LabelerError, match="refuses the token"):
        worker.perform(Job(JobKind.PUBLISH, "walk"))
    assert service.queue.waiting() == []
    assert service.facts.get(STUDIO)[0] == "It refuses the token."


class OneFails:
    """What brings masks to Label Studio, which refuses one clip."""

    def __init__(self, clip):
        self.clip, self.fails = clip, True

    def publish(self, clip, stop=None):
        if self.fails and clip.name == self.clip:
            raise LabelerError("Label Studio refuses it.")
        return 1


def test_a_fact_stays_until_the_very_thing_has_succeeded(workspace, service, make_worker):
    for name in ("walk", "run"):
        make_clip(workspace, name)
    sync = OneFails("walk")
    worker = make_worker(NearestCopy(), lambda: sync)
    with pytest.raises(LabelerError):
        worker.perform(Job(JobKind.PUBLISH, "walk"))
    worker.perform(Job(JobKind.PUBLISH, "run"))
    assert service.facts.get(STUDIO)[0] == "Label Studio refuses it."
    [told] = Troubles(workspace.database).listed()
    assert (told.work, told.item) == ("publish", "walk")
    sync.fails = False
    worker.perform(Job(JobKind.PUBLISH, "walk"))
    assert service.facts.get(STUDIO)[0] == ""
    assert Troubles(workspace.database).listed() == []


def test_a_damaged_mask_of_one_clip_stops_the_review_of_no_other(workspace, service, make_worker):
    for name in ("run", "walk"):
        clip = make_clip(workspace, name)
        first = workspace.record(clip, 0, square(1), Draft("ann"))
        look = {"look": Shown.CONFIRM, "judges": (first.number,)}
        other = Draft("bob", Provenance.CHECKED, **look)
        workspace.record(clip, 0, square(1) | square(2), other)
        if name == "run":
            workspace.mask_path(first).write_bytes(b"damaged")
    make_worker(NearestCopy()).perform(Job(JobKind.RECONCILE))
    assert {job.clip for job in service.queue.waiting() if job.kind is JobKind.REFRESH} == {
        "run",
        "walk",
    }
    [told] = Troubles(workspace.database).listed()
    assert (told.work, told.item) == ("review", "run")


def test_a_publish_that_succeeds_does_not_hide_that_fetching_fails(workspace, service, make_worker):
    make_clip(workspace)

    class OnlyPublishes:
        def fetch(self, *, full):
            raise StudioAwayError("HTTP 500: it does not like the time.")

        def publish(self, clip, stop=None):
            return 0

    worker = make_worker(NearestCopy(), OnlyPublishes)
    worker.perform(Job(JobKind.RECONCILE))
    worker.perform(Job(JobKind.PUBLISH, "walk"))
    assert service.facts.get(STUDIO)[0] == "HTTP 500: it does not like the time."
