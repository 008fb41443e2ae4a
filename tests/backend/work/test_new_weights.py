"""Other weights than before: everything is masked anew, and a rollback costs nothing."""

from backend.store.facts import MODEL_VERSION
from backend.store.jobs import Job, JobKind
from backend.work.preannotate import refresh
from backend.work.worker import SLICE
from tests.backend.at_work import work_off
from tests.backend.webhooks import submission
from tests.backend.work.test_refresh import Scripted
from tests.workspaces import make_clip, square


def test_other_weights_mask_everything_anew_but_first_what_a_correction_helps(
    workspace, service, make_worker
):
    clip = make_clip(workspace, frame_count=101)
    refresh(workspace, clip, Scripted("old-1.0.0+1"))
    service.inbox.put(submission(square(90), frame=90))
    engine = Scripted("new-1.0.0+2")
    worker = make_worker(engine)
    worker.perform(Job(JobKind.TAKE))
    work_off(worker, service.queue)
    untouched = [frame for frame in clip.key_frames if frame != 90]
    assert sorted(engine.asked) == untouched  # each once
    current = workspace.current(clip)
    assert {current[frame].model_version for frame in untouched} == {"new-1.0.0+2"}
    assert service.facts.get(MODEL_VERSION)[0] == "new-1.0.0+2"

    engine.asked.clear()
    last = make_worker(Scripted("last-1.0.0+3"))
    service.inbox.put(submission(square(40), annotation=2, frame=40, at=1))
    last.perform(Job(JobKind.TAKE))
    service.queue._huey.flush()  # a more urgent job would end the slice
    last.perform(Job(JobKind.REFRESH, "walk"))
    first = [
        each.frame for each in workspace.revisions(clip) if each.model_version == "last-1.0.0+3"
    ]
    assert len(first) == SLICE
    assert set(first) <= set(range(90))  # what lies beyond 90 is not helped by the correction


def test_a_rollback_brings_back_what_was_there_without_computing_it(
    workspace, service, make_worker
):
    clip = make_clip(workspace, frame_count=101)
    old, new = Scripted("old-1.0.0+1"), Scripted("new-1.0.0+2")
    service.inbox.put(submission(square(50), frame=50))
    engines = [old]
    worker = make_worker(None)
    worker._find_segmenter = lambda: engines[-1]
    worker.perform(Job(JobKind.TAKE))
    work_off(worker, service.queue)
    before = {f: (r.digest, r.uncertainty) for f, r in workspace.current(clip).items()}
    engines.append(new)
    worker.perform(Job(JobKind.RECONCILE))
    work_off(worker, service.queue)
    assert len(new.asked) == 20
    assert workspace.current(clip)[0].model_version == new.model_version
    engines.pop()
    old.asked.clear()
    worker.perform(Job(JobKind.RECONCILE))
    work_off(worker, service.queue)
    assert old.asked == []
    assert {f: (r.digest, r.uncertainty) for f, r in workspace.current(clip).items()} == before
    assert workspace.current(clip)[0].model_version == old.model_version
    assert service.facts.get(MODEL_VERSION)[0] == old.model_version


def test_a_damaged_mask_is_computed_again_instead_of_brought_back(workspace):
    clip = make_clip(workspace)
    old = Scripted("old-1.0.0+1")
    refresh(workspace, clip, old)
    refresh(workspace, clip, Scripted("new-1.0.0+2"))
    workspace.mask_path(workspace.revisions(clip, 5)[0]).write_bytes(b"no picture")
    old.asked.clear()
    done = refresh(workspace, clip, old)
    assert old.asked == [5]
    assert (done.segmented, done.restored, done.kept) == ((5,), (0, 10, 15), 0)
