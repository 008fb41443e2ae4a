"""The worker: the one process that owns the network, and does one job after another."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from backend.store.facts import MODEL_VERSION, STUDIO, Facts
from backend.store.jobs import Job, JobKind, JobLog, JobQueue
from backend.studio.client import StudioAwayError
from backend.studio.sync import StudioSync
from backend.work.preannotate import refresh
from backend.work.submissions import Submissions
from backend.work.training_runs import Retrainer
from labeler.errors import LabelerError
from labeler.workspace.tables import DatabaseAwayError
from labeler.workspace.troubles import Troubles
from labeler.workspace.workspace import Workspace
from model.registry import ModelRegistry
from model.segmenter import Segmenter

logger = logging.getLogger(__name__)


class Champion:
    """The engine of the workspace's champion, loaded again whenever the champion changes.

    Args:
        models: the folder of the workspace's models.
        load: loads the engine of a model by name; None means the default weights.
        named: a model to use in place of the champion.

    Raises:
        LabelerError: the weights cannot be loaded.
    """

    def __init__(
        self, models: Path, load: Callable[[str | None], Segmenter], named: str | None = None
    ) -> None:
        self._registry, self._load, self._named = ModelRegistry(models), load, named
        self._loaded = self._version()
        self._segmenter = load(self._loaded)

    def __call__(self) -> Segmenter:
        """Return the engine to mask with now; the previous one if new weights cannot be loaded."""
        try:
            version = self._version()
            if version != self._loaded:
                self._segmenter, self._loaded = self._load(version), version
                logger.info("masking with %s from now on", self._segmenter.model_version)
        except LabelerError:
            logger.exception("the champion cannot be loaded; %s stays", self._loaded)
        return self._segmenter

    def _version(self) -> str | None:
        return self._named or self._registry.champion


logger = logging.getLogger(__name__)

SLICE = 8
"""Key frames masked in one job; it ends sooner when a more urgent job waits."""

SLOW = 2.0
"""Seconds; after a slice that took longer, its masks are shown at once, not only at the end."""

PAUSE = 10.0
"""Seconds until masks that wait for a retraining are asked for again."""

AGAIN = 5.0
"""Seconds until submissions that Label Studio does not show yet are asked for again."""

DOCTOR = "`mvps doctor` says which file it is"

STUDIO_JOBS = (JobKind.SHOW.value, JobKind.PUBLISH.value, JobKind.RECONCILE.value)
"""The jobs that call Label Studio."""

LONGEST_PAUSE = 60.0
"""Seconds between two attempts while Label Studio is away, at most."""


class Worker:
    """Does one job after another, and asks for the jobs that follow from each.

    Nothing is kept in memory between jobs: each compares what there is with what should be.

    Args:
        workspace: the clips and masks.
        find_segmenter: returns the engine to mask with now; another one after a promotion.
        queue: the queue to ask for further jobs.
        submissions: takes up what annotators submit.
        find_sync: returns what sends clips to Label Studio; None as long as there is no project.
        retrainer: starts retrainings; None for a worker that never does.
    """

    def __init__(
        self,
        workspace: Workspace,
        find_segmenter: Callable[[], Segmenter],
        queue: JobQueue,
        submissions: Submissions,
        find_sync: Callable[[], StudioSync | None],
        retrainer: Retrainer | None = None,
    ) -> None:
        self._workspace, self._find_segmenter = workspace, find_segmenter
        self._masking_with = ""
        self._queue, self._submissions = queue, submissions
        self._log, self._facts = JobLog(workspace.database), Facts(workspace.database)
        self._troubles = Troubles(workspace.database)
        self._find_sync, self._retrainer = find_sync, retrainer
        self._sync: StudioSync | None = None
        self._fetched = False
        self._jobs: dict[JobKind, Callable[[Job], None]] = {
            JobKind.TAKE: self._take,
            JobKind.MASK: self._mask,
            JobKind.SHOW: self._show,
            JobKind.REFRESH: self._refresh,
            JobKind.PUBLISH: self._publish,
            JobKind.TRAIN: self._train,
            JobKind.RECONCILE: self._reconcile,
        }

    def run(self, reconcile_seconds: float) -> None:
        """Do what is asked for until the process is told to end.

        Args:
            reconcile_seconds: how often everything is compared with Label Studio.
        """
        self._log.forget_running()
        self._queue.ask(Job(JobKind.TAKE))
        ended = threading.Event()

        def keep_asking() -> None:
            while not ended.is_set():
                if Job(JobKind.RECONCILE) not in self._queue.waiting():
                    self._queue.ask(Job(JobKind.RECONCILE))
                ended.wait(reconcile_seconds)

        threading.Thread(target=keep_asking, name="clock", daemon=True).start()
        try:
            self._queue.consume(self.perform, self._log)
        finally:
            ended.set()

    def perform(self, job: Job) -> None:
        """Do one job."""
        self._jobs[job.kind](job)

    @property
    def _segmenter(self) -> Segmenter:
        """The engine to mask with now; when it changes, the other processes are told."""
        segmenter = self._find_segmenter()
        if segmenter.model_version != self._masking_with:
            self._masking_with = segmenter.model_version
            self._facts.tell(MODEL_VERSION, self._masking_with)
            self._sync = None  # masks are shown under these weights' name
        return segmenter

    def _take(self, job: Job) -> None:
        waiting = set(self._queue.waiting())
        for clip in self._submissions.take_all():
            # What comes next has changed: masking it all may last longer than the next submission.
            for wish in (Job(JobKind.SHOW, clip), Job(JobKind.REFRESH, clip)):
                if wish not in waiting:
                    self._queue.ask(wish)
        if self._submissions.waits and Job(JobKind.TAKE) not in self._queue.waiting():
            self._queue.ask(Job(JobKind.TAKE), AGAIN)

    def _mask(self, job: Job) -> None:
        """Mask a frame that somebody waits for; another job masks the frames around it."""
        clip = self._workspace.clip(job.clip)
        refresh(self._workspace, clip, self._segmenter, only=job.frame)
        if (wish := Job(JobKind.REFRESH, clip.name)) not in self._queue.waiting():
            self._queue.ask(wish)

    def _refresh(self, job: Job) -> None:
        """Mask some of the frames that a correction can help; another job masks the rest."""
        if self._retrainer is not None and self._retrainer.pauses_masking:
            self._queue.ask(job, PAUSE)
            return
        began = time.monotonic()
        done = refresh(
            self._workspace,
            self._workspace.clip(job.clip),
            self._segmenter,
            limit=SLICE,
            stop=lambda: self._queue.presses(JobKind.REFRESH),
            progress=self._log.progress,
        )
        if done.left and time.monotonic() - began > SLOW:
            self._queue.ask(Job(JobKind.SHOW, job.clip))
        self._queue.ask(job if done.left else Job(JobKind.PUBLISH, job.clip))

    def _show(self, job: Job) -> None:
        self._send(job, JobKind.SHOW)

    def _publish(self, job: Job) -> None:
        self._send(job, JobKind.REFRESH)

    def _send(self, job: Job, urgency: JobKind) -> None:
        """Send a clip to Label Studio; if a more urgent job comes, another job sends the rest."""
        stopped = False

        def stop() -> bool:
            nonlocal stopped
            stopped = stopped or self._queue.presses(urgency)
            return stopped

        sent = self._with_patience(
            job, lambda sync: sync.publish(self._workspace.clip(job.clip), stop)
        )
        if sent and stopped and Job(job.kind, job.clip) not in self._queue.waiting():
            self._queue.ask(Job(job.kind, job.clip))

    def _train(self, job: Job) -> None:
        if self._retrainer is not None:
            self._retrainer.start()

    def _reconcile(self, job: Job) -> None:
        """Find what was missed: annotations, frames to mask, predictions to publish."""
        _ = self._segmenter  # there may be a new champion
        full = not self._fetched
        if self._with_patience(job, lambda sync: sync.fetch(full=full)):
            # What a whole project missed may be older than the last change seen in it.
            self._fetched = all(", task " in each.item for each in self._troubles.listed("fetch"))
        self._queue.ask(Job(JobKind.TAKE))  # also events not asked for, or not recorded before
        waiting = set(self._queue.waiting())
        for clip in self._workspace.clips():
            with self._troubles.apart("review", clip.name, DOCTOR):
                self._submissions.accept_agreed(clip)
            if (wish := Job(JobKind.REFRESH, clip.name)) not in waiting:
                self._queue.ask(wish)
        if self._retrainer is not None:
            self._retrainer.start_if_due()

    def _with_patience(self, job: Job, act: Callable[[StudioSync], object]) -> bool:
        """Call Label Studio; if it is away, ask for the job again, after ever longer pauses."""
        self._sync = self._sync or self._find_sync()
        if self._sync is None:
            return False
        work, item = job.kind.value, job.clip or "all projects"
        try:
            act(self._sync)
        except DatabaseAwayError:
            raise
        except LabelerError as error:
            self._facts.tell(STUDIO, str(error))
            self._troubles.tell(work, item, str(error), "it is tried again and again")
            if not isinstance(error, StudioAwayError):
                raise
            pause = min(2.0 ** min(job.attempt, 10), LONGEST_PAUSE)
            logger.warning("%s Trying again in %.0f s.", error, pause)
            waiting = {(each.kind, each.clip) for each in self._queue.waiting()}
            waiting |= {
                (JobKind.RECONCILE, ""),
                (JobKind.SHOW, job.clip),
            }  # these come again anyway
            if (job.kind, job.clip) not in waiting:
                self._queue.ask(Job(job.kind, job.clip, job.frame, job.attempt + 1), pause)
            return False
        self._troubles.solved(work, item)
        if job.kind is JobKind.PUBLISH:
            self._troubles.solved(JobKind.SHOW.value, item)  # it sends all that SHOW sends
        left = [each for kind in STUDIO_JOBS for each in self._troubles.listed(kind)]
        self._facts.tell(STUDIO, left[0].reason if left else "")
        return True
