"""Keeps the workspace and the projects in Label Studio alike, beside the webhook."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import sqlalchemy as sa

from backend.store.inbox import Inbox
from backend.studio.client import Studio, StudioDownError
from backend.studio.projects import BACKEND_TITLE
from backend.studio.task_data import (
    DONE,
    NEXT,
    changing_fields,
    prediction,
    shown_revision,
    task_data,
)
from backend.studio.tasks import NEW, ProjectTasks
from labeler.clip import Clip
from labeler.review.priority import AHEAD, PriorityOrder
from labeler.revision import Revision, counting
from labeler.workspace.troubles import Troubles
from labeler.workspace.workspace import Workspace

MOST_AT_ONCE = 8
"""How many people are thought to work at once, until Label Studio says how many users it has."""


class ProjectSync(Protocol):
    """Keeps one project and the workspace alike."""

    @property
    def project(self) -> int:
        """The number of the project."""

    def add_missing_tasks(self) -> int:
        """Add the tasks that the project should have by now; return how many."""

    def publish(self, clip: Clip) -> int:
        """Send what is new of a clip to Label Studio; return how many masks."""

    def fetch(self, *, full: bool = True) -> int:
        """Put annotators' work that no webhook reported into the inbox; return how many events."""


class StudioSync:
    """Keeps all projects of a workspace and the workspace alike.

    Args:
        troubles: where it is told which project or task fails.
        labeling: the project in which masks are corrected.
        others: the projects of the cross-check.
    """

    def __init__(
        self, troubles: Troubles, labeling: "LabelingSync", others: Sequence[ProjectSync] = ()
    ) -> None:
        self._troubles = troubles
        self.project = labeling.project
        self._labeling, self._others = labeling, others
        self._all: list[ProjectSync] = [labeling, *others]

    def add_missing_tasks(self) -> int:
        """Add the tasks that the projects should have by now; return how many."""
        return sum(each.add_missing_tasks() for each in self._all)

    def publish(self, clip: Clip, stop: Callable[[], bool] = lambda: False) -> int:
        """Send what is new of a clip to Label Studio; return how many masks.

        Args:
            clip: the clip.
            stop: asked before each mask; if true, the rest is left to another call.
        """
        count = self._labeling.publish(clip, stop)
        return count + sum(each.publish(clip) for each in self._others if not stop())

    def fetch(self, *, full: bool = True) -> int:
        """Put annotators' work that no webhook reported into the inbox; return how many events."""
        found = 0
        for each in self._all:
            with self._troubles.apart(
                "fetch", f"project {each.project}", passing=(StudioDownError,)
            ):
                found += each.fetch(full=full)
        return found


class LabelingSync(ProjectTasks):
    """Updates the project in which people correct masks: a task and a prediction per key frame.

    Args:
        workspace: the clips and masks.
        inbox: takes the annotations.
        studio: Label Studio.
        project: the number of the project.
        prefix: path of the workspace below Label Studio's document root, "" or `folder/`.
        model_version: version of the weights that predict now; people's masks are shown under it,
            too.
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
        super().__init__(workspace, inbox, studio, project)
        self._prefix, self._model_version = prefix, model_version
        self._unsent: dict[str, Clip] = {}
        self._people = MOST_AT_ONCE

    def add_missing_tasks(self) -> int:
        """Add a task for each key frame that has none; return how many."""
        clips = self._workspace.clips()
        if all(len(self._rows(clip.name)) == len(clip.key_frames) for clip in clips):
            return 0
        self._adopt_tasks()
        added = 0
        for clip in clips:
            known = self._rows(clip.name)
            if len(known) == len(clip.key_frames):
                continue
            self._order.read(clip)
            changing = self._changing(clip, self._workspace.current(clip))
            data = [
                task_data(clip, frame, self._prefix) | changing[frame]
                for frame in clip.key_frames
                if frame not in known
            ]
            self._add_tasks(clip.name, data, set(changing[0]))
            added += len(data)
        return added

    def publish(self, clip: Clip, stop: Callable[[], bool] = lambda: False) -> int:
        """Send a clip's newest predictions, then the changed fields of its tasks, to Label Studio.

        The tasks of other clips are updated, too, if other frames of theirs come next now.

        Args:
            clip: the clip.
            stop: asked before each prediction; if true, the rest is left to another call.

        Returns:
            How many predictions were sent.
        """
        count = 0
        self._unsent |= {each.name: each for each in self._order.read(clip)}
        for each in list(self._unsent.values()):
            by_frame, rows = self._workspace.revisions_by_frame(each), self._rows(each.name)
            current = {n: latest for n, found in by_frame.items() if (latest := counting(found))}
            fields = self._changing(each, current)
            shown = {n: shown_revision(found) for n, found in by_frame.items()}
            turns = {frame: str(fields[frame]["turn"]) for frame in rows}
            count += self._show(each, rows, shown, turns, stop)
            if stop():
                break  # fields tell what was sent, so they come after it
            self._set_fields(each.name, rows, fields)
            del self._unsent[each.name]
        return count

    def fetch(self, *, full: bool = True) -> int:
        """Add the tasks that are missing; do as `ProjectTasks.fetch`; set what the stream shows."""
        self.add_missing_tasks()
        found = super().fetch(full=full)
        self._studio.show_version(self.project, BACKEND_TITLE)
        if (people := self._studio.people()) != self._people:
            self._people = people
            self.__dict__.pop("_order", None)
        return found

    @cached_property
    def _order(self) -> PriorityOrder:
        """The order, with so many frames that come next that nobody is left without one.

        Each person who has a task open holds it, and may have submitted another since the last
        publication. Label Studio says that nothing is left as soon as it has no other that comes
        next, whatever else there is.
        """
        return PriorityOrder(self._workspace, AHEAD + 2 * self._people)

    def _show(
        self,
        clip: Clip,
        rows: Mapping[int, sa.Row[Any]],
        masks: Mapping[int, Revision | None],
        turns: Mapping[int, str],
        stop: Callable[[], bool],
    ) -> int:
        """Send the predictions whose masks, or whose turns, have changed; return how many.

        The label stream draws among the tasks with a prediction named as the project's model
        version, which is the backend's title. So those to be corrected next, and only those, get
        predictions of that name.
        """
        done = {frame for frame, turn in turns.items() if turn == DONE}
        news: dict[int, Revision] = {}
        for frame, row in rows.items():
            shown = masks.get(frame)
            renamed = turns[frame] not in (DONE, row.fields.get("turn"))
            # Label Studio may have added predictions, which nobody needs any more.
            several = turns[frame] == DONE and row.prediction is None
            if shown is not None and (renamed or several or shown.number != row.shown):
                news[frame] = shown
        if not news:
            return 0
        make = {frame: partial(prediction, self._workspace, each) for frame, each in news.items()}
        predictions = self._predictions(clip, make, rows)
        models: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        for frame, each in predictions.items():
            weights = news[frame].model_version or self._model_version
            models[BACKEND_TITLE if turns[frame] == NEXT else weights][frame] = each
        numbers: dict[int, int | None] = {}
        first = sorted(models.items(), key=lambda item: item[0] != BACKEND_TITLE)
        for model, part in first:  # somebody may ask for one of those that come next
            numbers |= self._send(clip, model, part, rows, done, stop)
        notes = {n: {"shown": news[n].number, "prediction": each} for n, each in numbers.items()}
        self._note(clip.name, notes)
        return len(numbers)

    def _changing(
        self, clip: Clip, current: Mapping[int, Revision]
    ) -> dict[int, dict[str, str | float]]:
        following = {each.frame for each in self._order.next if each.clip == clip.name}
        fields = changing_fields(clip, current, self._order.of(clip), following)
        watch = self._watch(clip)
        return {frame: told | {"watch": watch} for frame, told in fields.items()}

    def _adopt_tasks(self) -> None:
        """Record the tasks of the project that the workspace does not know."""
        known = self._known()
        clips = {clip.name: clip for clip in self._workspace.clips()}
        for task in self._studio.tasks(self.project):
            clip, frame = clips.get(str(task.data.get("clip"))), task.data.get("frame")
            if task.id in known or clip is None or not isinstance(frame, int):
                continue
            if frame in clip.key_frames:
                self._note(clip.name, {frame: NEW | {"task": task.id}})
