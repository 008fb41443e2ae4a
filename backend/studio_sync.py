"""What the workspace and Label Studio tell each other, beside the webhook."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from backend import tables
from backend.inbox import Inbox
from backend.studio import Studio, StudioTask
from backend.task_data import changing_fields, prediction, shown_revision, task_data
from labeler.clip import Clip
from labeler.revision import Revision
from labeler.workspace import Workspace

OVERLAP = timedelta(minutes=1)
"""So much of what was seen already is looked at again: a save may take a while to be listed."""


class StudioSync:
    """Keeps one project of Label Studio and the workspace alike.

    What was last told is kept, so that only what changed since is told; and what Label Studio
    says of when a task changed, so that only those annotations are read that are news.

    Args:
        workspace: the clips and masks.
        inbox: where what annotators did is put.
        studio: Label Studio.
        project: the number of its project.
        prefix: of the workspace's files below Label Studio's document root, "" or `folder/`.
        model_version: of the weights that predict now; masks of people are shown under it too.
    """

    def __init__(
        self,
        workspace: Workspace,
        inbox: Inbox,
        studio: Studio,
        project: int,
        prefix: str,
        model_version: str,
    ) -> None:
        self._workspace, self._inbox = workspace, inbox
        self._studio, self.project, self._prefix = studio, project, prefix
        self._model_version = model_version
        workspace.database.complete(tables.metadata)

    def add_missing_tasks(self) -> int:
        """Add a task for each key frame that has none; return how many."""
        clips = self._workspace.clips()
        if all(len(self._rows(clip)) == len(clip.key_frames) for clip in clips):
            return 0
        self._adopt_tasks()
        added = 0
        for clip in clips:
            known = self._rows(clip)
            changing = changing_fields(clip, self._workspace.current(clip))
            frames = [frame for frame in clip.key_frames if frame not in known]
            data = [task_data(clip, frame, self._prefix) | changing[frame] for frame in frames]
            numbers = self._studio.add_tasks(self.project, data)
            for frame, number in zip(frames, numbers, strict=True):
                self._note(clip.name, frame, task=number, fields=changing[frame])
            added += len(frames)
        return added

    def publish(self, clip: Clip) -> int:
        """Bring a clip's newest predictions, and what is said of its frames, to Label Studio.

        Returns:
            How many predictions were replaced.
        """
        rows = self._rows(clip)
        by_frame = self._workspace.revisions_by_frame(clip)
        news: dict[str, list[Revision]] = defaultdict(list)
        for frame, row in rows.items():
            shown = shown_revision(by_frame.get(frame, []))
            if shown is not None and shown.number != row.shown:
                news[shown.model_version or self._model_version].append(shown)
        for model, changed in news.items():
            predictions = [
                prediction(self._workspace, each) | {"task": rows[each.frame].task}
                for each in changed
            ]
            self._studio.replace_predictions(self.project, predictions, model)
            for each in changed:
                self._note(clip.name, each.frame, shown=each.number)
        self._publish_fields(clip, rows)
        return sum(map(len, news.values()))

    def fetch(self, *, full: bool = True) -> int:
        """Put into the inbox what annotators did that no webhook told; return how much it is.

        Args:
            full: look at every task; else only at those that changed since the last look.
        """
        self.add_missing_tasks()
        found, known = 0, self._known()
        seen = [row.seen for row in known.values() if row.seen is not None]
        since = max(seen) - OVERLAP if seen and not full else None
        for task in self._studio.tasks(self.project, since):
            row = known.get(task.id)
            if row is not None and (row.seen is None or row.seen < task.updated):
                found += self._fetch_task(task)
                self._note(row.clip, row.frame, seen=task.updated)
        return found

    def _fetch_task(self, task: StudioTask) -> int:
        table = tables.annotations
        with self._workspace.database.reading() as connection:
            query = sa.select(table.c.annotation).where(
                table.c.project == self.project,
                table.c.clip == task.data.get("clip"),
                table.c.frame == task.data.get("frame"),
                table.c.deleted.is_(None),
            )
            known = set(connection.execute(query).scalars())
        # Only then, or what is taken up in between would look deleted.
        annotations = self._studio.annotations(task.id) if task.annotations or known else []
        gone = known - {each["id"] for each in annotations}
        found = sum(self._inbox.put_deletion(self.project, number) for number in sorted(gone))
        for each in annotations:
            each["project"] = self.project
            found += self._inbox.put_annotation("ANNOTATION_UPDATED", each, task.data)
        return found

    def _adopt_tasks(self) -> None:
        """Note tasks that the project has and the workspace does not know of."""
        known = self._known()
        clips = {clip.name: clip for clip in self._workspace.clips()}
        for task in self._studio.tasks(self.project):
            clip, frame = clips.get(str(task.data.get("clip"))), task.data.get("frame")
            if task.id in known or clip is None or not isinstance(frame, int):
                continue
            if frame in clip.key_frames:
                self._note(clip.name, frame, task=task.id, fields={}, shown=0, seen=None)

    def _publish_fields(self, clip: Clip, rows: Mapping[int, sa.Row[Any]]) -> None:
        """Set what changes in the data of tasks: one call for each value that has news."""
        news: dict[tuple[str, str | float], list[int]] = defaultdict(list)
        fields = changing_fields(clip, self._workspace.current(clip))
        for frame, row in rows.items():
            for name, value in fields[frame].items():
                if row.fields.get(name) != value:
                    news[name, value].append(row.task)
        for (name, value), tasks in news.items():
            self._studio.set_field(self.project, tasks, name, value)
        for frame, row in rows.items():
            if row.fields != fields[frame]:
                self._note(clip.name, frame, fields=fields[frame])

    def _known(self) -> dict[int, sa.Row[Any]]:
        """What is known of the project's tasks, by their numbers."""
        table = tables.tasks
        with self._workspace.database.reading() as connection:
            rows = connection.execute(sa.select(table).where(table.c.project == self.project))
            return {row.task: row for row in rows}

    def _rows(self, clip: Clip) -> dict[int, sa.Row[Any]]:
        """What is known of a clip's tasks, by frame."""
        table = tables.tasks
        with self._workspace.database.reading() as connection:
            rows = connection.execute(
                sa.select(table)
                .where(table.c.project == self.project, table.c.clip == clip.name)
                .order_by(table.c.frame)
            )
            return {row.frame: row for row in rows}

    def _note(self, clip: str, frame: int, **values: object) -> None:
        """Keep what Label Studio was told of a task, or what it told."""
        table = tables.tasks
        key = {"project": self.project, "clip": clip, "frame": frame}
        with self._workspace.database.writing() as connection:
            done = connection.execute(sa.update(table).filter_by(**key).values(**values))
            if not done.rowcount:
                connection.execute(sa.insert(table).values(**key, **values))
