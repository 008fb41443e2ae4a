"""The ML backend: what Label Studio asks for and tells, answered without a network.

`PortraitLabeler` has the interface of the label-studio-ml package, and is a `LabelStudioMLBase`
where that is installed. Our own server drives it; so does that package.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.settings import Settings
from backend.store.facts import MODEL_VERSION, Facts
from backend.store.inbox import DELETED, SUBMITTED, Inbox
from backend.store.jobs import Job, JobKind, JobQueue
from backend.studio.task_data import prediction, shown_revision
from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.revision import Revision
from labeler.workspace.workspace import Workspace

try:
    from label_studio_ml.model import LabelStudioMLBase
except ImportError:
    LabelStudioMLBase = object

PATIENCE = 85.0
"""Seconds that frames without a mask are waited for; Label Studio itself waits 100."""

POLL = 0.05

START_TRAINING = "START_TRAINING"
"""What Label Studio sends when somebody clicks Start training."""

NO_MODEL = "none"
"""The version of the weights before a worker has ever run."""


@dataclass(frozen=True)
class Service:
    """What the plugin stands on in this process."""

    workspace: Workspace
    inbox: Inbox
    queue: JobQueue
    facts: Facts

    @staticmethod
    def opened(settings: Settings) -> "Service":
        """Open the workspace that the settings name."""
        workspace = Workspace(settings.workspace, settings.database_url)
        return Service(
            workspace,
            Inbox(workspace.database),
            JobQueue(workspace.root, settings.queue_url),
            Facts(workspace.database),
        )


class PortraitLabeler(LabelStudioMLBase):  # type: ignore[misc]
    """Answers predictions from the workspace's masks, and keeps what annotators submit.

    Args:
        args: of the package's own class.
        service: the workspace; without it, that of the environment is opened.
        kwargs: of the package's own class.
    """

    TRAIN_EVENTS = (*sorted(SUBMITTED), DELETED, START_TRAINING)
    """What the package is to hand on to `fit`; its own list knows no deletions."""

    def __init__(self, *args: Any, service: Service | None = None, **kwargs: Any) -> None:
        if LabelStudioMLBase is not object:
            super().__init__(*args, **kwargs)
        self._service = service or Service.opened(Settings())

    @property
    def weights(self) -> str:
        """The version of the weights that the worker masks with."""
        told = self._service.facts.get(MODEL_VERSION)
        return NO_MODEL if told is None else told[0]

    def predict(
        self, tasks: Sequence[Mapping[str, Any]], context: object = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return the mask of each task's frame, in order; empty where a task is none of ours.

        Frames that have no mask yet are asked for before anything else, and waited for as long as
        there is a worker.
        """
        clips = {clip.name: clip for clip in self._service.workspace.clips()}
        wanted = [_frame_of(task, clips) for task in tasks]
        shown = self._shown({each[0] for each in wanted if each}, clips)
        missing = {each for each in wanted if each is not None and each not in shown}
        if missing:
            shown |= self._waited_for(missing, clips)
        return [self._answer(shown.get(each) if each else None) for each in wanted]

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Keep what a webhook says, and let the worker know.

        Our server gives what the webhook said as it is; the package takes the action out of it
        and calls `fit(action, rest, ...)` or `fit((), event=action, data=rest, ...)`.

        Raises:
            LabelerError: it is not what Label Studio sends.
        """
        given = [*args, *kwargs.values()]
        action = kwargs.get("event", next((each for each in args if isinstance(each, str)), None))
        said = next((each for each in given if isinstance(each, Mapping)), {})
        if START_TRAINING in (action, said.get("action")):
            self._service.queue.ask(Job(JobKind.TRAIN))
            return {"events": 1}
        new = self._service.inbox.put({"action": action} | dict(said))
        if new:
            self._service.queue.ask(Job(JobKind.TAKE))
        return {"events": new}

    def _answer(self, revision: Revision | None) -> dict[str, Any]:
        if revision is None:
            return {"result": [], "score": 0.0, "model_version": self.weights}
        try:
            found = prediction(self._service.workspace, revision)
        except LabelerError:  # the doctor tells of it; the annotator begins with an empty mask
            found = {"result": [], "score": 0.0}
        return found | {"model_version": revision.model_version or self.weights}

    def _shown(self, names: set[str], clips: Mapping[str, Clip]) -> dict[tuple[str, int], Revision]:
        """What there is to show of some clips, by clip and frame."""
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
        for clip, frame in sorted(missing):
            self._service.queue.ask(Job(JobKind.MASK, clip, frame))
        found: dict[tuple[str, int], Revision] = {}
        while missing - found.keys() and time.monotonic() < deadline:
            if not self._service.facts.worker_alive:
                break
            time.sleep(POLL)
            found |= self._shown({clip for clip, _ in missing - found.keys()}, clips)
        return found


def _frame_of(task: object, clips: Mapping[str, Clip]) -> tuple[str, int] | None:
    """The clip and key frame of a task, or None if it is none of the workspace's.

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
