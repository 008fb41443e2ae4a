"""A worker's jobs done here and now, in the order of the queue."""

from backend.store.jobs import Job, JobKind, JobLog, JobQueue
from backend.work.worker import Worker


def work_off(worker: Worker, queue: JobQueue, log: JobLog | None = None) -> list[Job]:
    """Do what waits, and what comes of it, as the consumer would; say what that was.

    What is delayed is put aside, as the consumer does; the log, if there is one, hears of each job.
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
        if log is not None:
            log.began(task.id, done[-1])
        worker.perform(done[-1])
        if log is not None:
            log.ended(task.id)
    return done
