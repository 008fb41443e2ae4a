"""The tasks of one project in Label Studio: their key frames, fields and new annotations."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from backend.page_links import page_key, page_path
from backend.store import tables
from backend.store.inbox import Inbox
from backend.studio.client import Studio, StudioTask
from labeler.clip import Clip
from labeler.workspace.workspace import Workspace

OVERLAP = timedelta(minutes=1)
"""Each look goes back this far before the last change seen: a save may be listed late."""


class ProjectTasks:
    """One project's tasks, as the workspace knows them.

    The workspace keeps the fields that it last sent, to send only changes; and the time at which
    each task last changed in Label Studio, to read only new annotations.

    Args:
        workspace: the clips and masks.
        inbox: takes the annotations.
        studio: Label Studio.
        project: the number of the project.
    """

    def __init__(self, workspace: Workspace, inbox: Inbox, studio: Studio, project: int) -> None:
        self._workspace, self._inbox, self._studio = workspace, inbox, studio
        self.project = project
        workspace.database.complete(tables.metadata)

    def fetch(self, *, full: bool = True) -> int:
        """Put annotators' work that no webhook reported into the inbox; return how many events.

        Args:
            full: look at every task; if false, only at those that changed since the last look.
        """
        found, known = 0, self._known()
        seen = [row.seen for row in known.values() if row.seen is not None]
        since = max(seen) - OVERLAP if seen and not full else None
        for task in self._studio.tasks(self.project, since):
            row = known.get(task.id)
            if row is None:  # another task has taken its place
                found += self._fetch_task(task) if task.annotations else 0
            elif row.seen is None or row.seen < task.updated:
                found += self._fetch_task(task)
                self._note(row.clip, {row.frame: {"seen": task.updated}})
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
        # Read after `known`, or an annotation that is recorded in between would look deleted.
        annotations = self._studio.annotations(task.id) if task.annotations or known else []
        gone = known - {each["id"] for each in annotations}
        found = sum(self._inbox.put_deletion(self.project, number) for number in sorted(gone))
        for each in annotations:
            each["project"] = self.project
            found += self._inbox.put_annotation("ANNOTATION_UPDATED", each, task.data)
        return found

    def _watch(self, clip: Clip) -> str:
        """The link to the clip's page, to which the label config puts the service's address."""
        return page_path(page_key(self._workspace.root), clip.name)

    def _add_tasks(self, clip: str, data: Sequence[Mapping[str, Any]], fields: set[str]) -> None:
        """Add tasks for a clip's key frames, and keep those of their fields that may change."""
        numbers = self._studio.add_tasks(self.project, data)
        notes = {}
        for each, number in zip(data, numbers, strict=True):
            told = {name: each[name] for name in sorted(fields)}
            notes[each["frame"]] = {"task": number, "fields": told, "shown": 0, "seen": None}
        self._note(clip, notes)

    def _set_fields(
        self,
        clip: str,
        rows: Mapping[int, sa.Row[Any]],
        wanted: Mapping[int, Mapping[str, str | float]],
    ) -> None:
        """Set the fields of tasks that have changed: one call for each field and value."""
        news: dict[tuple[str, str | float], list[int]] = defaultdict(list)
        for frame, row in rows.items():
            for name, value in wanted[frame].items():
                if row.fields.get(name) != value:
                    news[name, value].append(row.task)
        for (name, value), tasks in news.items():
            self._studio.set_field(self.project, tasks, name, value)
        changed = [frame for frame, row in rows.items() if row.fields != wanted[frame]]
        self._note(clip, {frame: {"fields": dict(wanted[frame])} for frame in changed})

    def _known(self) -> dict[int, sa.Row[Any]]:
        """What is known of the project's tasks, by their numbers."""
        table = tables.tasks
        with self._workspace.database.reading() as connection:
            rows = connection.execute(sa.select(table).where(table.c.project == self.project))
            return {row.task: row for row in rows}

    def _rows(self, clip: str) -> dict[int, sa.Row[Any]]:
        """What is known of a clip's tasks, by frame."""
        table = tables.tasks
        with self._workspace.database.reading() as connection:
            rows = connection.execute(
                sa.select(table)
                .where(table.c.project == self.project, table.c.clip == clip)
                .order_by(table.c.frame)
            )
            return {row.frame: row for row in rows}

    def _note(self, clip: str, notes: Mapping[int, Mapping[str, object]]) -> None:
        """Store what was sent to Label Studio, or read there, of a clip's tasks, all at once.

        Args:
            clip: the name of the clip.
            notes: by frame the values of its row; the same columns for each frame.
        """
        if not notes:
            return
        table = tables.tasks
        ours = (table.c.project == self.project) & (table.c.clip == clip)
        columns = [table.c[name] for name in next(iter(notes.values()))]
        with self._workspace.database.writing() as connection:
            known = set(connection.execute(sa.select(table.c.frame).where(ours)).scalars())
            old = [{"at": n} | _news(values) for n, values in notes.items() if n in known]
            new = [{"frame": n} | dict(values) for n, values in notes.items() if n not in known]
            if old:
                news = {each: sa.bindparam(f"new_{each.name}", type_=each.type) for each in columns}
                here = ours & (table.c.frame == sa.bindparam("at"))
                connection.execute(sa.update(table).where(here).values(news), old)
            if new:
                key = {"project": self.project, "clip": clip}
                connection.execute(sa.insert(table), [key | values for values in new])


def _news(values: Mapping[str, object]) -> dict[str, object]:
    """Rename values, since an UPDATE uses the names of the columns for itself."""
    return {f"new_{name}": value for name, value in values.items()}
