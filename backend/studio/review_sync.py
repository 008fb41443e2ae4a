"""The projects of the cross-check in Label Studio: a task for whatever waits for another person."""

from collections.abc import Mapping, Sequence

from backend.store.inbox import Inbox
from backend.studio.client import Studio
from backend.studio.label_config import DONE, OUTDATED, WANTED
from backend.studio.task_data import prediction, task_data
from backend.studio.tasks import ProjectTasks
from labeler.clip import Clip
from labeler.review.standing import Stage, is_audited, standing
from labeler.revision import Revision, Shown, standing_of
from labeler.workspace.workspace import Workspace

SHOWN = "first mask"
"""In the place of weights: the version of the masks that a checker is shown."""


class CheckSync(ProjectTasks):
    """Keeps the project in which a second person confirms: a task for each mask to be checked.

    A mask that was changed meanwhile gets a new task, so that whoever checks says of which mask;
    the old task stays, since somebody may be at it, and is said to be outdated.

    Args:
        workspace: the clips and masks.
        inbox: where what checkers did is put.
        studio: Label Studio.
        project: the number of the project.
        prefix: of the workspace's files below Label Studio's document root.
    """

    def __init__(
        self, workspace: Workspace, inbox: Inbox, studio: Studio, project: int, prefix: str
    ) -> None:
        super().__init__(workspace, inbox, studio, project)
        self._prefix = prefix

    def add_missing_tasks(self) -> int:
        """Add a task for each mask that waits for its check; return how many."""
        return sum(self.publish(clip) for clip in self._workspace.clips())

    def publish(self, clip: Clip) -> int:
        """Add a task, with the mask, for each that waits for its check; return how many."""
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
        if data:
            self._add_tasks(clip.name, data, {"revision", "stage"})
            rows = self._rows(clip.name)
            shown = [
                prediction(self._workspace, each) | {"task": rows[each.frame].task}
                for each in added
            ]
            self._studio.replace_predictions(self.project, shown, SHOWN)
        self._set_fields(
            clip.name,
            rows,
            {
                frame: dict(row.fields)
                | ({"stage": now[frame].stage.value} if frame in now else {})
                for frame, row in rows.items()
            },
        )
        return len(added)


class BlindSync(ProjectTasks):
    """Keeps the project in which frames are masked without sight of any mask.

    They are all that a person has masked, or, to measure, the share drawn for the audit.

    Args:
        workspace: the clips and masks.
        inbox: where what is masked is put.
        studio: Label Studio.
        project: the number of the project.
        prefix: of the workspace's files below Label Studio's document root.
        share: of the key frames for the audit; None for all, each a second opinion.
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
        """Add a task for each frame to be masked unseen, and say which are done; return how many.

        A task is there only once a person has masked the frame, so that nobody labels a frame
        otherwise because it is audited.
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
    """Whether a task shows the very pixels of a mask, by its number among the frame's revisions."""
    number = fields.get("revision")
    return any(each.number == number and each.digest == first.digest for each in revisions)
