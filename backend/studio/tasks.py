"""The tasks of one project in Label Studio: their key frames, fields and new annotations."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from backend.page_links import page_key, page_path
from backend.store import tables
from backend.store.inbox import FETCHED, Inbox
from backend.studio.client import Studio, StudioDownError, StudioTask
from labeler.clip import Clip
from labeler.errors import LabelerError
from labeler.text.valid import valid_text
from labeler.workspace.troubles import Troubles
from labeler.workspace.workspace import Workspace

NEW: dict[str, object] = {"fields": {}, "shown": 0, "prediction": None, "seen": None}
"""The row of a task of which nothing is known."""

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
        self._troubles = Troubles(workspace.database)

    def fetch(self, *, full: bool = True) -> int:
        """Put annotators' work that no webhook reported into the inbox; return how many events.

        A task or an annotation that Label Studio cannot serve stops no other. It is a trouble
        (see labeler.workspace.troubles), and is asked for again until it is served.

        Args:
            full: look at every task; if false, only at those that changed since the last look.
        """
        found, known = 0, self._known()
        seen = [row.seen for row in known.values() if row.seen is not None]
        since = max(seen) - OVERLAP if seen and not full else None
        again = self._in_trouble()
        for task in self._studio.tasks(self.project, since):
            found += self._look_at(task, known.get(task.id), anew=task.id in again)
            again.discard(task.id)
        for number in again:  # it has not changed since
            with self._apart(number):
                task = self._studio.task(number)
                found += self._look_at(task, known.get(number), anew=True)
        return found

    def _look_at(self, task: StudioTask, row: sa.Row[Any] | None, anew: bool) -> int:
        """Fetch a task's annotations if there may be new ones; return how many events."""
        if row is None:  # another task has taken its place
            wanted = task.annotations > 0
        else:
            wanted = row.seen is None or row.seen < task.updated
        found = 0
        if wanted or anew:
            with self._apart(task.id):
                found = self._fetch_task(task)
                if row is not None:
                    self._note(row.clip, {row.frame: {"seen": task.updated}})
        return found

    def _apart(self, task: int) -> AbstractContextManager[None]:
        cure = f"open the task at {self._studio.url}/projects/{self.project}/data?task={task}"
        return self._troubles.apart("fetch", self._item(task), cure, passing=(StudioDownError,))

    def _item(self, task: int) -> str:
        return f"project {self.project}, task {task}"

    def _in_trouble(self) -> set[int]:
        """The numbers of the tasks whose annotations could not be fetched."""
        start = self._item(0)[:-1]
        items = [each.item for each in self._troubles.listed("fetch")]
        return {int(item.removeprefix(start)) for item in items if item.startswith(start)}

    def _fetch_task(self, task: StudioTask) -> int:
        table = tables.annotations
        clip, frame = task.data.get("clip"), task.data.get("frame")
        with self._workspace.database.reading() as connection:
            query = sa.select(table.c.annotation).where(
                table.c.project == self.project,
                table.c.clip == (valid_text(clip) if isinstance(clip, str) else ""),
                table.c.frame == (frame if type(frame) is int and abs(frame) < 1 << 31 else -1),
                table.c.deleted.is_(None),
            )
            known = set(connection.execute(query).scalars())
        # Read after `known`, or an annotation that is recorded in between would look deleted.
        annotations = self._studio.annotations(task.id) if task.annotations or known else []
        gone = known - {each["id"] for each in annotations}
        found = sum(self._inbox.put_deletion(self.project, number) for number in sorted(gone))
        faults = []
        for each in annotations:
            each["project"] = self.project
            try:
                found += self._inbox.put_annotation(FETCHED, each, task.data)
            except LabelerError as error:
                faults.append(error)
        if faults:
            raise faults[0]  # the others are in
        return found

    def _predictions(
        self,
        clip: Clip,
        shown: Mapping[int, Callable[[], dict[str, Any]]],
        rows: Mapping[int, sa.Row[Any]],
    ) -> dict[int, dict[str, Any]]:
        """Make the predictions of a clip's frames; a damaged mask holds up no other."""
        found: dict[int, dict[str, Any]] = {}
        failed: dict[str, str] = {}
        for frame, make in shown.items():
            try:
                found[frame] = make() | {"task": rows[frame].task}
            except LabelerError as error:
                failed[f"{clip.name} frame {frame}"] = str(error)
        self._troubles.settle("show", [f"{clip.name} frame {frame}" for frame in found], failed)
        return found

    def _send(
        self,
        clip: Clip,
        model: str,
        predictions: Mapping[int, Mapping[str, Any]],
        rows: Mapping[int, sa.Row[Any]],
        done: Set[int],
        stop: Callable[[], bool],
    ) -> dict[int, int | None]:
        """Show predictions, by frame: change in its place what a task has, add what it lacks.

        Label Studio may have added some by itself (see `show_again`). They show the same as ours,
        until a person has masked the frame and has no use for them any more.

        Args:
            clip: the clip.
            model: the version under which they are shown.
            predictions: each `task`, `result` and `score`.
            rows: what is known of the clip's tasks.
            done: the frames that a person has masked.
            stop: asked before each prediction; if true, the rest is not sent.

        Returns:
            The number of the prediction of each frame that was sent; None where it is not known, or
            not the only one.
        """
        known = {frame: rows[frame].prediction for frame in predictions}
        counts: dict[int, int] = {}
        if None in known.values():
            listed = self._studio.tasks(self.project, clip=clip.name)
            counts = {task.id: task.predictions for task in listed}
        found: dict[int, int | None] = {}
        missing = []
        for frame, shown in predictions.items():
            if stop():
                break
            numbers = [known[frame]]
            if known[frame] is None:
                task = shown["task"]
                numbers = self._studio.predictions(task) if counts.get(task) else []
            left = [each for each in numbers if self._studio.change_prediction(each, shown, model)]
            if frame in done:
                for each in left[1:]:
                    self._studio.delete_prediction(each)
                left = left[:1]
            if not left:
                missing.append(shown)
            found[frame] = left[0] if len(left) == 1 else None
        if missing:
            self._studio.add_predictions(self.project, missing, model)
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
            notes[each["frame"]] = NEW | {"task": number, "fields": told}
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
