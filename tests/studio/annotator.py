"""What an annotator does and sees, through Label Studio's API."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import numpy as np

from backend.cli.stack import Stack
from backend.store.inbox import EventState, Inbox
from backend.store.jobs import JobLog, JobQueue
from backend.studio.annotation import DECISION, from_result, to_result
from backend.studio.client import Studio
from backend.studio.projects import Role, connected_projects
from labeler.mask import Mask
from labeler.workspace.workspace import Workspace

T = TypeVar("T")


def invitation(stack: Stack) -> str:
    """The path at which somebody may sign up, by a link from the owner."""
    owner = {"Authorization": f"Token {stack.studio.login.token}"}
    answer = httpx.get(f"{stack.studio.url}/api/invite", headers=owner).raise_for_status()
    return str(answer.json()["invite_url"])


def another_user(stack: Stack, email: str) -> str:
    """Let somebody sign up by a link from the owner, and return their token."""
    with httpx.Client(base_url=stack.studio.url, follow_redirects=True) as client:
        invited = invitation(stack)
        client.get(invited)
        form = {
            "email": email,
            "password": "another-person-1",
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        }
        client.post(invited, data=form, headers={"Referer": stack.studio.url})
        found = client.get("/api/current-user/token").raise_for_status().json()
    return str(found["token"])


def choice(said: str) -> list[dict[str, Any]]:
    """What the page submits for a third person's decision."""
    value = {"choices": [said]}
    return [
        {"id": "d", "from_name": DECISION, "to_name": "image", "type": "choices", "value": value}
    ]


class Annotator:
    """Submits, changes and deletes annotations, and looks at predictions.

    Args:
        stack: Label Studio and what belongs to it.
        workspace: what is labeled.
        role: the project to work in.
        token: of whoever works; of the first user if not given.
    """

    def __init__(
        self,
        stack: Stack,
        workspace: Workspace,
        role: Role = Role.LABELING,
        token: str | None = None,
    ) -> None:
        self.stack, self.workspace = stack, workspace
        self._token = token or stack.studio.login.token
        self.studio = Studio(stack.studio.url, self._token)
        self.api = self.studio.client
        self.project = connected_projects(workspace, stack.studio.url)[role]
        self.sizes = {c.name: (c.height, c.width) for c in workspace.clips()}
        self.tasks: dict[tuple[str, int], int] = {}
        self.look_again()

    def look_again(self) -> None:
        """See which tasks there are; of several of one frame the newest."""
        self.tasks = {
            (task.data["clip"], task.data["frame"]): task.id
            for task in sorted(self.studio.tasks(self.project), key=lambda task: task.id)
        }

    def submit(self, clip: str, frame: int, mask: Mask, *more: dict[str, Any]) -> int:
        """Submit a mask, and what else there is to say, as a new annotation."""
        made = self.api.annotations.create(
            id=self.tasks[clip, frame], result=[*to_result(mask, f"r{frame}"), *more]
        )
        assert made.id is not None
        return int(made.id)

    def choose(self, clip: str, frame: int, said: str) -> int:
        """Decide which of two masks is right."""
        made = self.api.annotations.create(id=self.tasks[clip, frame], result=choice(said))
        assert made.id is not None
        return int(made.id)

    def next_task(self) -> dict[str, Any]:
        """What `Label All Tasks` asks for, and the page after each submission."""
        answer = httpx.post(
            f"{self.stack.studio.url}/api/dm/actions",
            params={"id": "next_task", "project": self.project},
            json={"project": str(self.project)},
            headers={"Authorization": f"Token {self._token}"},
            timeout=60,
        )
        return dict(answer.raise_for_status().json())

    def update(self, annotation: int, mask: Mask) -> None:
        self.api.annotations.update(id=annotation, result=to_result(mask, "again"))

    def delete(self, annotation: int) -> None:
        self.api.annotations.delete(id=annotation)

    def data(self, clip: str, frame: int) -> dict[str, Any]:
        """The data of a task, as the Data Manager shows it."""
        return dict(self.api.tasks.get(id=str(self.tasks[clip, frame])).data or {})

    def predictions(self, clip: str, frame: int) -> list[Any]:
        return list(self.api.predictions.list(task=self.tasks[clip, frame]))

    def shown(self, clip: str, frame: int) -> Mask:
        """The mask of the one prediction that the task has."""
        [prediction] = self.predictions(clip, frame)
        return from_result(prediction.result, *self.sizes[clip]).mask

    def all_shown(self, clip: str) -> dict[int, Mask]:
        """The masks of all predictions of a clip, one for each of its tasks."""
        frames = {task: frame for (name, frame), task in self.tasks.items() if name == clip}
        found: dict[int, Mask] = {}
        for prediction in self.api.predictions.list(project=self.project):
            if prediction.task in frames:
                frame = frames[prediction.task]
                assert frame not in found, "two predictions of one task"
                found[frame] = from_result(prediction.result, *self.sizes[clip]).mask
        return found

    def until(self, see: Callable[[], T | None], what: str, seconds: float = 60.0) -> T:
        """Wait until something is to be seen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if seen := see():
                return seen
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self.logs()}")

    def wait_until_shown(self, clip: str, frame: int, mask: Mask, seconds: float = 60.0) -> None:
        def same() -> bool:
            found = self.predictions(clip, frame)
            if len(found) != 1:
                return False
            return np.array_equal(from_result(found[0].result, *self.sizes[clip]).mask, mask)

        self.until(same, f"{clip} frame {frame} as it should be", seconds)

    def wait_until_quiet(self, seconds: float = 120.0) -> None:
        """Wait until nothing is left to do, twice in a row."""
        inbox, queue = Inbox(self.workspace.database), JobQueue(self.workspace.root)
        still = 0

        def quiet() -> bool:
            nonlocal still
            pending = inbox.listed(EventState.PENDING, EventState.CONFIRMED)
            busy = pending or queue.waiting() or self._running()
            masked = all(
                len(self.workspace.current(clip)) == len(clip.key_frames)
                for clip in self.workspace.clips()
            )
            still = 0 if busy or not masked else still + 1
            return still >= 5

        self.until(quiet, "nothing left to do", seconds)

    def logs(self) -> str:
        tails = []
        for name in ("serve", "worker"):
            path = self.stack.log(name)
            text = path.read_text(errors="replace") if path.exists() else ""
            tails.append(f"--- {name}\n{text[-3000:]}")
        return "\n".join(tails)

    def _running(self) -> bool:
        return bool(JobLog(self.workspace.database).running())
