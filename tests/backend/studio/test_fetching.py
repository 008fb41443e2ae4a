"""Catching up with Label Studio: what fails is told and tried again, everything else goes on."""

from datetime import timedelta

import pytest

from backend.store.inbox import EventState
from backend.studio.client import StudioAwayError, StudioDownError, StudioTask
from backend.studio.sync import StudioSync
from backend.studio.tasks import ProjectTasks
from labeler.workspace.troubles import Troubles
from tests.backend.webhooks import NOON, submission
from tests.workspaces import make_clip, square


class FakeStudio:
    """A Label Studio with a task for each key frame, each annotated once."""

    url = "http://127.0.0.1:8080"

    def __init__(self, clip):
        self.saved = {100 + frame: NOON for frame in clip.key_frames}
        self.failing, self.asked = {}, []

    def task(self, number):
        data = {"clip": "walk", "frame": number - 100}
        return StudioTask(number, data, self.saved[number], 1, 0)

    def tasks(self, project, since=None, clip=""):
        if project in self.failing:
            raise self.failing[project]
        return [self.task(n) for n, at in self.saved.items() if since is None or at > since]

    def show_version(self, project, version): ...

    def people(self):
        return 1

    def annotations(self, task):
        self.asked.append(task)
        if task in self.failing:
            raise self.failing[task]
        made = submission(square(1), annotation=task, frame=task - 100)["annotation"]
        return [made | {"updated_at": self.saved[task].isoformat()}]


@pytest.fixture
def studio(workspace):
    return FakeStudio(make_clip(workspace))


@pytest.fixture
def troubles(workspace):
    return Troubles(workspace.database)


@pytest.fixture
def tasks(workspace, inbox, studio):
    project = ProjectTasks(workspace, inbox, studio, 1)
    rows = {frame: {"task": 100 + frame, "fields": {}, "shown": 0} for frame in (0, 5, 10, 15)}
    project._note("walk", rows)
    return project


def fetched(inbox):
    return sorted(event.frame for event in inbox.listed(EventState.PENDING))


def test_a_task_that_cannot_be_served_stops_no_other(inbox, tasks, studio, troubles):
    studio.failing[100] = StudioAwayError("Label Studio answers HTTP 500: x")
    assert tasks.fetch() == 3
    assert fetched(inbox) == [5, 10, 15]
    [told] = troubles.listed()
    assert told.item == "project 1, task 100"
    assert "data?task=100" in told.sentence
    tasks.fetch(full=False)
    assert troubles.listed() == [told], "told until that very task is served"


def test_it_is_asked_for_again_though_it_has_not_changed(inbox, tasks, studio, troubles):
    studio.failing[100] = StudioAwayError("Label Studio answers HTTP 500: x")
    studio.saved[115] = NOON + timedelta(hours=1)
    tasks.fetch()
    studio.failing.clear()
    studio.asked.clear()
    tasks.fetch(full=False)
    assert studio.asked == [100]
    assert fetched(inbox) == [0, 5, 10, 15]
    assert troubles.listed() == []
    studio.asked.clear()
    tasks.fetch(full=False)
    assert studio.asked == []


def test_an_annotation_that_cannot_be_read_stops_no_other_of_its_task(
    inbox, tasks, studio, troubles, monkeypatch
):
    good = studio.annotations(100)[0] | {"id": 7}
    monkeypatch.setattr(studio, "annotations", lambda task: [good | {"updated_at": 7}, good])
    tasks.fetch()
    assert fetched(inbox) == [0]
    assert {each.work for each in troubles.listed()} == {"fetch"}


@pytest.mark.parametrize("data", [{"clip": "\ud800", "frame": 5}, {"clip": [1], "frame": 1 << 70}])
def test_odd_data_of_a_task_stops_nothing(inbox, tasks, studio, troubles, data, monkeypatch):
    odd = StudioTask(100, data, NOON, 1, 0)
    monkeypatch.setattr(studio, "tasks", lambda *_: [odd, studio.task(105)])
    assert tasks.fetch() == 2
    assert troubles.listed() == []


def test_if_label_studio_is_down_nobody_is_blamed(tasks, studio, troubles):
    studio.failing[105] = StudioDownError("It is down.")
    with pytest.raises(StudioDownError):
        tasks.fetch()
    assert troubles.listed() == []


def test_a_project_that_is_gone_stops_no_other(workspace, inbox, tasks, studio, troubles):
    gone = ProjectTasks(workspace, inbox, studio, 2)
    studio.failing[2] = StudioAwayError("Label Studio answers HTTP 500: y")
    assert StudioSync(troubles, gone, [tasks]).fetch() == 4
    assert [each.item for each in troubles.listed()] == ["project 2"]
