"""The queue of jobs, which the worker does, most urgent first, and the log of what it did."""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from huey import PriorityRedisHuey, SqliteHuey, signals
from huey.api import Huey, Task
from huey.exceptions import ConfigurationError

from backend.store import tables
from backend.store.identity import identity_of
from labeler.errors import LabelerError
from labeler.text.valid import valid_text
from labeler.workspace.tables import Database

logger = logging.getLogger(__name__)

FILED_UNDER = "backend.jobs"
"""The module name of waiting jobs on disk. It stays the same if this module is renamed: a queue
outlives the version that filled it."""

KEPT_JOBS = 500
"""How many ended jobs are kept for the status page."""


class QueueAwayError(LabelerError):
    """The queue does not answer; nothing is lost, since the worker finds lost jobs again."""


class JobKind(StrEnum):
    """The kinds of jobs; each may be done twice or in vain without harm.

    TAKE records what annotators submitted. MASK masks a frame that somebody waits for. SHOW sends
    what is new of a clip to Label Studio, before more is masked. REFRESH masks the frames of a clip
    that have no mask or that a correction can help. PUBLISH sends what is new after that.
    TRAIN starts a retraining. RECONCILE compares the workspace with Label Studio.
    """

    TAKE = "take"
    MASK = "mask"
    SHOW = "show"
    REFRESH = "refresh"
    PUBLISH = "publish"
    TRAIN = "train"
    RECONCILE = "reconcile"


PRIORITIES = {kind: rank for rank, kind in enumerate(reversed(JobKind))}
"""The larger, the more urgent: first a person's mask, then a frame that somebody waits for."""


@dataclass(frozen=True)
class Job:
    """One unit of work, for a clip unless `clip` is "", for a frame unless `frame` is -1.

    `attempt` counts how often it has failed because Label Studio was away.
    """

    kind: JobKind
    clip: str = ""
    frame: int = -1
    attempt: int = 0


class JobQueue:
    """The queue between those who ask for jobs and the one worker.

    It holds wishes only, of one workspace, and may be lost. The worker finds lost jobs again: when
    it starts, and then every few minutes, it compares what there is with what there should be.

    Args:
        folder: the workspace's folder; the queue is a file in it.
        url: the URL of a Redis to use instead, for a worker on another machine.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self._where = str(folder / "queue.db") if url is None else "The Redis of MVPS_QUEUE_URL"
        with self._answering():
            self._huey = _huey(folder, url)
        self._perform: Callable[[Job], None] | None = None
        self._run = self._huey.task(name="job", __module__=FILED_UNDER)(self._handle)
        # Earlier versions put a task of this name into the queue; it can still be read.
        self._huey.task(name="clock", __module__=FILED_UNDER)(lambda: None)

    def ask(self, job: Job, delay: float = 0.0) -> str:
        """Ask for a job to be done after `delay` seconds; return its id in the `JobLog`.

        Raises:
            QueueAwayError: the queue does not answer.
        """
        arguments = (job.kind.value, job.clip, job.frame, job.attempt)
        task = self._run.s(*arguments, priority=PRIORITIES[job.kind], delay=delay or None)
        with self._answering():
            self._huey.enqueue(task)
        return str(task.id)

    def presses(self, than: JobKind) -> bool:
        """Whether a job waits that is more urgent than one of this kind.

        Raises:
            QueueAwayError: the queue does not answer.
        """
        with self._answering():
            first = self._huey.pending(1)
        return any(task.name == "job" and task.priority > PRIORITIES[than] for task in first)

    def waiting(self) -> list[Job]:
        """Return the waiting jobs, most urgent first, and after them those with a delay.

        Raises:
            QueueAwayError: the queue does not answer.
        """
        with self._answering():
            tasks = [*self._huey.pending(), *self._huey.scheduled()]
        return [_job(*task.args) for task in tasks if task.name == "job"]

    def consume(self, perform: Callable[[Job], None], log: "JobLog") -> None:
        """Do the jobs, one at a time, until the process is told to end."""
        self._perform = perform

        def follow(signal: str, task: Task, error: Exception | None = None) -> None:
            if task.name != "job":
                return
            if signal == signals.SIGNAL_EXECUTING:
                log.began(task.id, _job(*task.args))
            else:
                log.ended(task.id, "" if error is None else _sentence(error))

        self._huey.signal(signals.SIGNAL_EXECUTING, signals.SIGNAL_COMPLETE, signals.SIGNAL_ERROR)(
            follow
        )
        consumer = self._huey.create_consumer(
            workers=1,
            worker_type="thread",
            initial_delay=0.02,
            max_delay=0.1,
            graceful_signal="TERM",
        )
        consumer.run()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise QueueAwayError(
                f"{self._where} cannot be used ({error}); free the disk, or remove that file: it "
                "only holds wishes."
            ) from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "redis":
                raise
            raise QueueAwayError(
                f"{self._where} does not answer; start it, or correct MVPS_QUEUE_URL. Nothing is "
                "lost: the worker finds what waits."
            ) from error

    def _handle(self, kind: str, clip: str, frame: int, attempt: int) -> None:
        if self._perform is None:
            raise AssertionError("only a worker performs jobs")
        self._perform(_job(kind, clip, frame, attempt))


class JobLog:
    """The log of the worker's jobs, for the status page."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.complete(tables.metadata)
        self._running = ""

    def began(self, identity: str, job: Job) -> None:
        """Record that a job has begun."""
        self._running = identity
        table = tables.jobs
        row = {"id": identity, "kind": job.kind, "clip": job.clip, "state": "running"}
        old = (
            sa.select(table.c.id)
            .where(table.c.state != "running")
            .order_by(table.c.started.desc())
            .offset(KEPT_JOBS)
        )
        with self._database.writing() as connection:
            connection.execute(sa.delete(table).where(table.c.id.in_(old.scalar_subquery())))
            connection.execute(sa.delete(table).where(table.c.id == identity))
            connection.execute(sa.insert(table).values(**row, started=datetime.now(UTC)))

    def progress(self, done: int, total: int) -> None:
        """Record how far the running job is."""
        self._update(self._running, done=done, total=total)

    def ended(self, identity: str, error: str = "") -> None:
        """Record that a job is done, or what went wrong."""
        self._running = ""
        state = "failed" if error else "done"
        self._update(identity, state=state, error=valid_text(error), ended=datetime.now(UTC))

    def forget_running(self) -> None:
        """Record the jobs that a killed worker left running as failed."""
        table = tables.jobs
        ended = {"state": "failed", "error": "the worker ended", "ended": datetime.now(UTC)}
        with self._database.writing() as connection:
            connection.execute(sa.update(table).where(table.c.state == "running").values(**ended))

    def latest(self, count: int = 20) -> list[sa.Row[Any]]:
        """Return the jobs that began last, newest first."""
        table = tables.jobs
        with self._database.reading() as connection:
            query = sa.select(table).order_by(table.c.started.desc()).limit(count)
            return list(connection.execute(query).all())

    def running(self) -> list[sa.Row[Any]]:
        """Return the job that runs now, if any."""
        table = tables.jobs
        with self._database.reading() as connection:
            return list(connection.execute(sa.select(table).filter_by(state="running")).all())

    def has_ended(self, identity: str) -> bool:
        """Whether a job has come to its end, done or failed."""
        table = tables.jobs
        query = sa.select(table.c.state).filter_by(id=identity)
        with self._database.reading() as connection:
            return connection.execute(query).scalar() not in (None, "running")

    def failures(self) -> int:
        """Count the failed jobs among those that are kept."""
        table = tables.jobs
        with self._database.reading() as connection:
            query = sa.select(sa.func.count()).where(table.c.state == "failed")
            return int(connection.execute(query).scalar_one())

    def _update(self, identity: str, **values: object) -> None:
        table = tables.jobs
        with self._database.writing() as connection:
            connection.execute(sa.update(table).where(table.c.id == identity).values(**values))


def _job(kind: str, clip: str, frame: int, attempt: int) -> Job:
    return Job(JobKind(kind), clip, frame, attempt)


def _sentence(error: Exception | None) -> str:
    if isinstance(error, LabelerError):
        return str(error)
    logger.error("a job failed", exc_info=error)
    return f"{type(error).__name__}: {error}; see the worker's log."


def _huey(folder: Path, url: str | None) -> Huey:
    if url is None:
        return SqliteHuey("mvps", filename=str(folder / "queue.db"), results=False, timeout=60)
    try:
        return PriorityRedisHuey(f"mvps-{identity_of(folder)}", url=url, results=False)
    except ConfigurationError:
        raise LabelerError(
            "MVPS_QUEUE_URL needs the redis package; run `pip install mvps-labeler[redis]`."
        ) from None
