"""The cross-check's projects in Label Studio: a task for each mask that waits for someone else."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from backend.store.inbox import Inbox
from backend.studio.annotation import FIRST_MASK, SECOND_MASK, to_result
from backend.studio.client import Studio
from backend.studio.label_config import DONE, OUTDATED, WANTED
from backend.studio.task_data import prediction, task_data
from backend.studio.tasks import ProjectTasks
from labeler.clip import Clip
from labeler.review.standing import Stage, Standing, is_audited, standing
from labeler.revision import Revision, Shown, standing_of
from labeler.workspace.workspace import Workspace


class ShownTasks(ProjectTasks, ABC):
    """Updates a project whose tasks each show what waits for somebody's opinion.

    If what is shown has changed, the frame gets a new task, so that it is clear what the opinion is
    about. The old task stays, since somebody may be working on it, and is marked as outdated.

    Args:
        workspace: the clips and masks.
        inbox: takes the annotations.
        studio: Label Studio.
        project: the number of the project.
        prefix: path of the workspace below Label Studio's document root, "" or `folder/`.
    """

    STAGE: Stage
    """The stage of the frames that have a task."""

    VERSION: str
    """The model version under which it is shown what there is to judge."""

    KEPT: frozenset[str]
    """The fields of a task that say what it shows."""

    def __init__(
        self, workspace: Workspace, inbox: Inbox, studio: Studio, project: int, prefix: str
    ) -> None:
        super().__init__(workspace, inbox, studio, project)
        self._prefix = prefix

    def add_missing_tasks(self) -> int:
        """Add a task for each frame that waits; return how many."""
        return sum(self.publish(clip) for clip in self._workspace.clips())

    def fetch(self, *, full: bool = True) -> int:
        """Do as `ProjectTasks.fetch`; then set again which predictions the label stream shows."""
        found = super().fetch(full=full)
        if self._known():
            self._studio.show_version(self.project, self.VERSION)
        return found

    def publish(self, clip: Clip) -> int:
        """Add a task for each of the clip's frames that waits; return how many."""
        rows = self._rows(clip.name)
        by_frame = self._workspace.revisions_by_frame(clip)
        now = {frame: standing(revisions) for frame, revisions in by_frame.items()}
        added = {
            frame: each
            for frame, each in now.items()
            if each.stage is self.STAGE
            and (frame not in rows or not self._shows(rows[frame].fields, each, by_frame[frame]))
        }
        outdated = [rows[frame].task for frame in added if frame in rows]
        if outdated:
            self._studio.set_field(self.project, outdated, "stage", OUTDATED)
        watch = self._watch(clip)
        data = [
            task_data(clip, frame, self._prefix)
            | self._data(each)
            | {"stage": self.STAGE.value, "watch": watch}
            for frame, each in added.items()
        ]
        if data:
            self._add_tasks(clip.name, data, {"stage", "watch"})
            rows = self._rows(clip.name)
            made = {frame: partial(self._prediction, each) for frame, each in added.items()}
            shown = self._predictions(clip, made, rows)
            self._studio.add_predictions(self.project, list(shown.values()), self.VERSION)
            self._studio.show_version(self.project, self.VERSION)
            # Not before it is shown: a worker that ends here would leave a task without a mask.
            told = {each["frame"]: {name: each[name] for name in self.KEPT} for each in data}
            notes = {frame: {"fields": rows[frame].fields | told[frame]} for frame in told}
            self._note(clip.name, notes)
            rows = self._rows(clip.name)
        self._set_fields(
            clip.name,
            rows,
            {
                frame: dict(row.fields)
                | {"watch": watch}
                | ({"stage": now[frame].stage.value} if frame in now else {})
                for frame, row in rows.items()
            },
        )
        return len(added)

    @abstractmethod
    def _data(self, waiting: Standing) -> dict[str, Any]:
        """The fields of a new task that say what it shows, and whose it is."""

    @abstractmethod
    def _prediction(self, waiting: Standing) -> dict[str, Any]:
        """What the task shows."""

    @abstractmethod
    def _shows(
        self, fields: Mapping[str, object], waiting: Standing, revisions: Sequence[Revision]
    ) -> bool:
        """Whether a task shows exactly what waits."""


class CheckSync(ShownTasks):
    """Updates the project in which a second person checks masks: it has a task for each mask."""

    STAGE, VERSION, KEPT = Stage.UNCHECKED, "first mask", frozenset({"revision"})

    def _data(self, waiting: Standing) -> dict[str, Any]:
        first = _known(waiting.first)
        return {"revision": first.number, "masked_by": first.author}

    def _prediction(self, waiting: Standing) -> dict[str, Any]:
        return prediction(self._workspace, _known(waiting.first))

    def _shows(
        self, fields: Mapping[str, object], waiting: Standing, revisions: Sequence[Revision]
    ) -> bool:
        """Whether a task shows exactly this mask, by the revision's number and the digest."""
        number, digest = fields.get("revision"), _known(waiting.first).digest
        return any(each.number == number and each.digest == digest for each in revisions)


class DecideSync(ShownTasks):
    """Updates the project in which a third person decides: it has a task for each conflict."""

    STAGE, VERSION, KEPT = Stage.CONFLICT, "both masks", frozenset({"first", "second"})

    def _data(self, waiting: Standing) -> dict[str, Any]:
        first, second = _known(waiting.first), _known(waiting.second)
        rejected = f"{second.author} rejects the first mask: {second.reason}"
        return {
            "first": first.number,
            "second": second.number,
            "first_by": first.author,
            "second_by": second.author,
            "question": rejected if second.reason else f"{second.author} has repaired the mask.",
        }

    def _prediction(self, waiting: Standing) -> dict[str, Any]:
        pair = ((FIRST_MASK, _known(waiting.first)), (SECOND_MASK, _known(waiting.second)))
        regions = [
            region
            for label, each in pair
            for region in to_result(self._workspace.read(each), f"{label} {each.number}", label)
        ]
        return {"result": regions, "score": 1.0}

    def _shows(
        self, fields: Mapping[str, object], waiting: Standing, revisions: Sequence[Revision]
    ) -> bool:
        pair = (_known(waiting.first).number, _known(waiting.second).number)
        return (fields.get("first"), fields.get("second")) == pair


def _known(revision: Revision | None) -> Revision:
    if revision is None:
        raise AssertionError("a frame at this stage has the mask")
    return revision


class BlindSync(ProjectTasks):
    """Updates the project in which people mask frames without seeing any mask.

    Its frames are all that a person has masked, as second opinions; or the share of them that is
    drawn for the audit, which measures the effect of pre-labels.

    Args:
        workspace: the clips and masks.
        inbox: takes the annotations.
        studio: Label Studio.
        project: the number of the project.
        prefix: path of the workspace below Label Studio's document root, "" or `folder/`.
        share: share of the key frames for the audit; None for second opinions on all.
    """

    def __init__(
        self,
        workspace: Workspace,
        inbox: Inbox,
        studio: Studio,
        project: int,
        prefix: str,
        share: float | None,
    ) -> None:
        super().__init__(workspace, inbox, studio, project)
        self._prefix, self._share = prefix, share

    def add_missing_tasks(self) -> int:
        """Add a task for each frame to be masked unseen; return how many."""
        return sum(self.publish(clip) for clip in self._workspace.clips())

    def publish(self, clip: Clip) -> int:
        """Add a task for each frame to be masked unseen, mark those that are done; return how many.

        A task is added only after a person has masked the frame, so that nobody labels a frame
        differently because it is audited.
        """
        look = Shown.BLIND if self._share is None else Shown.AUDIT
        rows = self._rows(clip.name)
        done: dict[int, bool] = {}
        for frame, revisions in self._workspace.revisions_by_frame(clip).items():
            people = standing_of(revisions)
            drawn = self._share is None or is_audited(clip, frame, self._share)
            if drawn and any(each.look is Shown.LABEL for each in people):
                done[frame] = any(each.look is look for each in people)
        frames = [frame for frame, is_done in done.items() if frame not in rows and not is_done]
        data = [
            task_data(clip, frame, self._prefix) | {"look": look.value, "stage": WANTED}
            for frame in frames
        ]
        if data:
            self._add_tasks(clip.name, data, {"look", "stage"})
            rows = self._rows(clip.name)
        self._set_fields(
            clip.name,
            rows,
            {
                frame: dict(row.fields) | {"stage": DONE if done.get(frame) else WANTED}
                for frame, row in rows.items()
            },
        )
        return len(frames)
