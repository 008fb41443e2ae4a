"""A worker's queue, with a script in the place of the work.

Run as a script: `python -m tests.backend.consumer FOLDER [URL]`. Each job is printed as it is
done. The job on the clip `bad` fails, that on `told` fails with a sentence for people, that on
`parent` asks for another, and that on `end` ends the process as `kill` does. What the clock asks
for by itself, every few minutes, is passed over.
"""

import os
import signal
import sys
import time
from pathlib import Path

from backend.store.jobs import Job, JobKind, JobLog, JobQueue
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace


def main(root: Path, url: str | None = None) -> None:
    queue, log = JobQueue(root, url), JobLog(Workspace(root).database)

    def perform(job: Job) -> None:
        if job == Job(JobKind.RECONCILE):
            return
        print(job.kind, job.clip, job.frame, job.attempt, time.time(), flush=True)
        log.progress(3, 8)
        if job.clip == "bad":
            raise ZeroDivisionError("nobody foresaw this")
        if job.clip == "told":
            raise LabelerError("The disk is full; make room.")
        if job.clip == "parent":
            queue.ask(Job(job.kind, "child"))
        if job.clip == "end":
            os.kill(os.getpid(), signal.SIGTERM)

    queue.consume(perform, log)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
