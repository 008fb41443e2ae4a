"""The ML backend: it answers Label Studio from stored masks, and loads no neural network.

`PortraitLabeler` has the interface of the label-studio-ml package, and is a `LabelStudioMLBase`
where that package is installed. Both our own server and that package can run it.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock
from typing import Any

from backend.settings import Settings
from backend.store.facts import MODEL_VERSION, Facts
from backend.store.inbox import DELETED, SUBMITTED, Inbox
from backend.store.jobs import Job, JobKind, JobLog, JobQueue, QueueAwayError
from backend.studio.task_data import prediction, show_again, shown_revision
from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.revision import Revision
from labeler.workspace.tables import DatabaseAwayError
from labeler.workspace.workspace import Workspace

try:
    from label_studio_ml.model import LabelStudioMLBase
except ImportError:
    LabelStudioMLBase = object

PATIENCE = 85.0
"""Seconds to wait for the masks of frames that have none; Label Studio itself waits 100."""

FRESH_PATIENCE = 10.0
"""Seconds to wait for the new mask of a frame that has one."""

POLL, SLOWEST_POLL = 0.05, 0.5
"""Seconds between two looks for a mask: the first ones, and after a while."""

WAITING = 24
"""How many predictions may wait for a mask at once; more are answered with what there is."""

START_TRAINING = "START_TRAINING"
"""What Label Studio sends when somebody clicks Start training."""

NO_MODEL = "none"
"""The version of the weights before a worker has ever run."""


@dataclass(frozen=True)
class Service:
    """The workspace, inbox, queue and facts that the plugin uses in this process."""

    workspace: Workspace
    inbox: Inbox
    queue: JobQueue
    log: JobLog
    facts: Facts

    @staticmethod
    def opened(settings: Settings) -> "Service":
        """Open the workspace that the settings name."""
        workspace = Workspace(settings.workspace, settings.database_url)
        return Service(
            workspace,
            Inbox(workspace.database),
            JobQueue(workspace.root, settings.queue_url),
            JobLog(workspace.database),
            Facts(workspace.database),
        )


class PortraitLabeler(LabelStudioMLBase):  # type: ignore[misc]
    """Predicts by the workspace's masks, and stores what annotators submit.

    Args:
        args: passed on to the package's own class.
        service: the workspace; without it, that of the environment is opened.
        kwargs: passed on to the package's own class.
    """

    TRAIN_EVENTS = (*sorted(SUBMITTED), DELETED, START_TRAINING)
    """The events that the package is to pass on to `fit`; its own list lacks deletions."""

    def __init__(self, *args: Any, service: Service | None = None, **kwargs: Any) -> None:
        if LabelStudioMLBase is not object:
            super().__init__(*args, **kwargs)
        self._service = service or Service.opened(Settings())
        self._places = BoundedSemaphore(WAITING)
        self._waking, self._woken = Lock(), -1.0

    @property
    def weights(self) -> str:
        """The version of the weights that the worker masks with."""
        told = self._service.facts.get(MODEL_VERSION)
        return NO_MODEL if told is None else told[0]

    @property
    def live_version(self) -> str:
        """The model version to name when asked for it: that of no prediction.

        Label Studio's label stream asks for a prediction of a task that has none of this version.
        So it asks for each task that it opens, and no task opens with a mask that is out of date.
        """
        return f"{self.weights} (live)"

    def predict(
        self, tasks: Sequence[Mapping[str, Any]], context: object = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return a prediction for each task, in order; an empty one if the task is not ours.

        For frames without a mask, the worker is asked for one, which comes before other masks;
        the call waits for it while a worker is alive, up to `PATIENCE`. If a single task is asked
        for, somebody opens it: if a correction may change its mask, the call waits for the new one,
        up to `FRESH_PATIENCE`.
        """
        clips = {clip.name: clip for clip in self._service.workspace.clips()}
        wanted = [_frame_of(task, clips) for task in tasks]
        shown = self._shown({each[0] for each in wanted if each}, clips)
        missing = {each for each in wanted if each is not None and each not in shown}
        opened = wanted[0] if len(wanted) == 1 else None
        if (missing or opened) and self._places.acquire(blocking=False):
            try:
                if missing:
                    shown |= self._waited_for(missing, clips)
                elif opened and self._is_about_to_change(opened[0]):
                    shown |= self._renewed(opened, clips)
            finally:
                self._places.release()
        kept = [
            task["id"]
            for task, each in zip(tasks, wanted, strict=True)
            if each is not None and type(task.get("id")) is int and 0 < task["id"] < 1 << 63
        ]
        if kept and not context:
            with suppress(DatabaseAwayError):  # the masks are shown all the same
                show_again(self._service.workspace, kept)
        return [self._answer(shown.get(each) if each else None) for each in wanted]

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Store the events of a call of the webhook, and ask the worker to take them up.

        Our server passes the payload unchanged; the package takes the action out of it and calls
        `fit(action, rest, ...)` or `fit((), event=action, data=rest, ...)`.

        Raises:
            LabelerError: the payload is not what Label Studio sends.
        """
        given = [*args, *kwargs.values()]
        action = kwargs.get("event", next((each for each in args if isinstance(each, str)), None))
        said = next((each for each in given if isinstance(each, Mapping)), {})
        if START_TRAINING in (action, said.get("action")):
            self._service.queue.ask(Job(JobKind.TRAIN))
            return {"events": 1}
        new = self._service.inbox.put({"action": action} | dict(said))
        if new:
            with suppress(QueueAwayError):  # it is stored; the worker finds it
                self._wake()
        return {"events": new}

    def _wake(self) -> None:
        """Ask the worker to take up what is stored, once for all that was stored before."""
        stored = time.monotonic()
        with self._waking:
            if self._woken < stored:
                self._woken = time.monotonic()
                self._service.queue.ask(Job(JobKind.TAKE))

    def _answer(self, revision: Revision | None) -> dict[str, Any]:
        if revision is None:
            return {"result": [], "score": 0.0, "model_version": self.weights}
        try:
            found = prediction(self._service.workspace, revision)
        except LabelerError:  # `mvps doctor` reports it; the annotator begins with an empty mask
            found = {"result": [], "score": 0.0}
        return found | {"model_version": revision.model_version or self.weights}

    def _shown(self, names: set[str], clips: Mapping[str, Clip]) -> dict[tuple[str, int], Revision]:
        """The masks to show of some clips, by clip and frame."""
        found = {}
        for name in names:
            by_frame = self._service.workspace.revisions_by_frame(clips[name])
            for frame, revisions in by_frame.items():
                if (shown := shown_revision(revisions)) is not None:
                    found[name, frame] = shown
        return found

    def _waited_for(
        self, missing: set[tuple[str, int]], clips: Mapping[str, Clip]
    ) -> dict[tuple[str, int], Revision]:
        deadline = time.monotonic() + PATIENCE
        try:
            for clip, frame in sorted(missing):
                self._service.queue.ask(Job(JobKind.MASK, clip, frame))
        except QueueAwayError:  # nobody would come
            return {}
        found: dict[tuple[str, int], Revision] = {}
        poll = POLL
        while missing - found.keys() and time.monotonic() < deadline:
            if not self._service.facts.worker_alive:
                break
            time.sleep(poll)
            poll = min(1.2 * poll, SLOWEST_POLL)
            found |= self._shown({clip for clip, _ in missing - found.keys()}, clips)
        return found

    def _is_about_to_change(self, clip: str) -> bool:
        """Whether masks of a clip may change soon: there is a submission, or work on the clip."""
        if next(self._service.inbox.pending(), None) is not None:
            return True
        now = [(row.kind, row.clip) for row in self._service.log.running()]
        with suppress(QueueAwayError):
            now += [(each.kind, each.clip) for each in self._service.queue.waiting()]
        masking = [(kind, clip) for kind in (JobKind.MASK, JobKind.REFRESH)]
        return any(kind == JobKind.TAKE or (kind, name) in masking for kind, name in now)

    def _renewed(
        self, opened: tuple[str, int], clips: Mapping[str, Clip]
    ) -> dict[tuple[str, int], Revision]:
        """Wait until the worker has brought a frame's mask up to date."""
        deadline = time.monotonic() + FRESH_PATIENCE
        if self._service.facts.worker_alive:
            with suppress(QueueAwayError):  # it keeps the mask that it has
                asked = self._service.queue.ask(Job(JobKind.MASK, *opened))
                while time.monotonic() < deadline and self._service.facts.worker_alive:
                    if self._service.log.has_ended(asked):
                        break
                    time.sleep(POLL)
        return self._shown({opened[0]}, clips)


def _frame_of(task: object, clips: Mapping[str, Clip]) -> tuple[str, int] | None:
    """The clip and key frame of a task, or None if the workspace has no such key frame.

    Only names are taken from a task, never a path or an address.
    """
    data = task.get("data") if isinstance(task, Mapping) else None
    if not isinstance(data, Mapping):
        return None
    name, frame = data.get("clip"), data.get("frame")
    clip = clips.get(name) if isinstance(name, str) else None
    if clip is None or type(frame) is not int or frame not in clip.key_frames:
        return None
    return clip.name, frame
