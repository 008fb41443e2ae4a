"""A worker's jobs done here and now, in the order of the queue."""

from backend.store.jobs import Job, JobKind, JobQueue
from backend.work.worker import Worker


def work_off(worker: Worker, queue: JobQueue) -> list[Job]:
    """Do what waits, and what comes of it, as the consumer would; say what that was.

    What is delayed is put aside, as the consumer does.
    """
    done = []
    while (task := queue._huey.dequeue()) is not None:
        if not queue._huey.ready_to_run(task):
            queue._huey.add_schedule(task)
            continue
        if task.name != "job":  # the clock's
            continue
        kind, *rest = task.args
        done.append(Job(JobKind(kind), *rest))
        worker.perform(done[-1])
    return done
