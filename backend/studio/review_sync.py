"""The cross-check's projects in Label Studio: a task for each mask that waits for someone else."""

from collections.abc import Mapping, Sequence

from backend.store.inbox import Inbox
from backend.studio.client import Studio
from backend.studio.label_config import DONE, OUTDATED, WANTED
from backend.studio.task_data import task_data
from backend.studio.tasks import ProjectTasks
from labeler.clip import Clip
from labeler.review.standing import Stage, is_audited, standing
from labeler.revision import Revision, Shown, standing_of
from labeler.workspace.workspace import Workspace

SHOWN = "first mask"
"""The model version under which a checker is shown the first person's mask."""


class CheckSync(ProjectTasks):
    """Updates the project in which a second person checks masks: it has a task for each mask.

    A mask that has changed gets a new task, so that it is clear which mask was checked. The old
    task stays, since somebody may be working on it, and is marked as outdated.

    Args:
        workspace: the clips and masks.
        inbox: takes the checkers' annotations.
        studio: Label Studio.
        project: the number of the project.
        prefix: path of the workspace below Label Studio's document root, "" or `folder/`.
    """

    def __init__(
        self, workspace: Workspace, inbox: Inbox, studio: Studio, project: int, prefix: str
    ) -> None:
        super().__init__(workspace, inbox, studio, project)
        self._prefix = prefix

    def add_missing_tasks(self) -> int:
        """Add a task for each mask that waits for its check; return how many."""
        return sum(self.publish(clip) for clip in self._workspace.clips())

    def fetch(self, *, full: bool = True) -> int:
        """Do as `ProjectTasks.fetch`; then set again which predictions the label stream shows."""
        found = super().fetch(full=full)
        if self._known():
            self._studio.show_version(self.project, SHOWN)
        return found

    def publish(self, clip: Clip) -> int:
        """Add a task for each of the clip's masks that waits for its check; return how many."""
        rows = self._rows(clip.name)
        by_frame = self._workspace.revisions_by_frame(clip)
        now = {frame: standing(revisions) for frame, revisions in by_frame.items()}
        wanted = {
            frame: each.first
            for frame, each in now.items()
            if each.stage is Stage.UNCHECKED and each.first is not None
        }
        added = [
            first
            for frame, first in wanted.items()
            if frame not in rows or not _shows(rows[frame].fields, first, by_frame[frame])
        ]
        outdated = [rows[each.frame].task for each in added if each.frame in rows]
        if outdated:
            self._studio.set_field(self.project, outdated, "stage", OUTDATED)
        data = [
            task_data(clip, each.frame, self._prefix)
            | {"revision": each.number, "masked_by": each.author, "stage": Stage.UNCHECKED.value}
            for each in added
        ]
        watch = self._watch(clip)
        if data:
            data = [each | {"watch": watch} for each in data]
            self._add_tasks(clip.name, data, {"revision", "stage", "watch"})
            rows = self._rows(clip.name)
            shown = self._predictions(clip, added, rows)
            self._studio.replace_predictions(self.project, list(shown.values()), SHOWN)
            self._studio.show_version(self.project, SHOWN)
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


def _shows(fields: Mapping[str, object], first: Revision, revisions: Sequence[Revision]) -> bool:
    """Whether a task shows exactly this mask, by the revision's number and the mask's digest."""
    number = fields.get("revision")
    return any(each.number == number and each.digest == first.digest for each in revisions)
