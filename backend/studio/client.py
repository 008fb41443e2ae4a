"""Label Studio, as far as this tool needs it: a few calls of its API, with clear errors."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from labeler.errors import LabelerError

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds for one call; a thousand predictions are some tens of megabytes."""

PAGE = 100
"""Tasks or predictions in one call."""


class StudioAwayError(LabelerError):
    """Label Studio does not answer, or not now; worth another try."""


@dataclass(frozen=True)
class StudioTask:
    """A task as the list of tasks has it: its number, its data, when anything of it changed."""

    id: int
    data: dict[str, Any]
    updated: datetime
    annotations: int


class Studio:
    """One Label Studio and one of its projects.

    Every call raises StudioAwayError where it is worth trying again, and LabelerError where not.

    Args:
        url: its address.
        key: a legacy token or a personal access token.
    """

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.client = LabelStudio(  # type: ignore[no-untyped-call]
            base_url=url, api_key=key, timeout=TIMEOUT
        )
        self._authors: dict[int, str] = {}

    def close(self) -> None:
        """Close its connections."""
        self.client._client_wrapper.httpx_client.httpx_client.close()

    def whoami(self) -> str:
        """The address of the user whose token this is."""
        return str(self.call(self._get, "api/current-user/whoami")["email"])

    def file_status(self, path: str) -> tuple[int, str]:
        """What Label Studio answers for a file that it serves: HTTP status and content type."""
        answer = self.call(self._request, path.lstrip("/"))
        return answer.status_code, answer.headers.get("Content-Type", "")

    def author(self, number: int) -> str:
        """The address of a user by number; "user 7" where it cannot be had, never an error."""
        if number not in self._authors:
            try:
                user = self.call(self._get, f"api/users/{number}/")
            except LabelerError:
                return f"user {number}"
            self._authors[number] = str(user.get("email") or f"user {number}")
        return self._authors[number]

    def call(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the API, with its errors made ours."""
        try:
            return act(*args, **kwargs)
        except ApiError as error:
            raise self._explained(error) from None
        except httpx.HTTPError as error:
            raise StudioAwayError(
                f"Label Studio does not answer at {self.url} ({error}); start it, or set "
                "LABEL_STUDIO_URL."
            ) from None

    def tasks(self, project: int, since: datetime | None = None) -> Iterator[StudioTask]:
        """The tasks of a project, without annotations; only those that changed since a time."""
        page = 1
        while True:
            found = self.call(self._page_of_tasks, project, page, since)
            for task in found["tasks"]:
                yield StudioTask(
                    id=task["id"],
                    data=task["data"],
                    updated=datetime.fromisoformat(task["updated_at"]),
                    annotations=task["total_annotations"] + task["cancelled_annotations"],
                )
            if page * PAGE >= found["total"]:
                return
            page += 1

    def annotations(self, task: int) -> list[dict[str, Any]]:
        """A task's annotations, as a webhook would tell them."""
        found = self.call(self._get, f"api/tasks/{task}/annotations/")
        return list(found)

    def add_tasks(self, project: int, data: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add tasks with this data; return their numbers in the same order."""
        numbers: list[int] = []
        for start in range(0, len(data), 10 * PAGE):
            part = [{"data": dict(each)} for each in data[start : start + 10 * PAGE]]
            answer = self.call(
                self.client.projects.import_tasks,
                project,
                request=part,  # type: ignore[arg-type]
                return_task_ids=True,
            )
            numbers += answer.model_dump()["task_ids"]
        return numbers

    def replace_predictions(
        self, project: int, predictions: Sequence[Mapping[str, Any]], model: str
    ) -> None:
        """Put a prediction of these weights in the place of whatever a task has.

        Two calls for a hundred tasks. Each prediction is `task`, `result` and `score`.
        """
        for start in range(0, len(predictions), PAGE):
            part = predictions[start : start + PAGE]
            self.act(project, "delete_tasks_predictions", [each["task"] for each in part])
            self.call(
                self.client.projects.import_predictions,
                project,
                request=[{**each, "model_version": model} for each in part],  # type: ignore[misc]
            )

    def set_field(self, project: int, tasks: Sequence[int], name: str, value: str | float) -> None:
        """Set one field of the data of many tasks to one value, in one call."""
        kind = "String" if isinstance(value, str) else "Number"
        self.act(
            project,
            "add_data_field",
            tasks,
            {"value_name": name, "value_type": kind, "value": str(value)},
        )

    def act(
        self,
        project: int,
        action: str,
        tasks: Sequence[int],
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Perform an action of the Data Manager on some tasks."""
        self.call(
            self.client.actions.create,
            id=action,
            project=project,
            selected_items={"all": False, "included": list(tasks)},
            request_options={"additional_body_parameters": dict(more or {})},
        )

    def _page_of_tasks(self, project: int, page: int, since: datetime | None) -> Any:
        asked = {"project": project, "page": page, "page_size": PAGE, "fields": "task_only"}
        if since is None:
            return self._get("api/tasks", asked)
        changed = {
            "filter": "filter:tasks:updated_at",
            "operator": "greater",
            "type": "Datetime",
            "value": since.isoformat(),
        }
        filters = {"conjunction": "and", "items": [changed]}
        return self._get("api/tasks", asked | {"query": json.dumps({"filters": filters})})

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Get JSON as it is; what the SDK makes of it loses what it does not know."""
        answer = self._request(path, params)
        if answer.status_code >= 400:
            raise ApiError(status_code=answer.status_code, body=answer.text)
        return answer.json()

    def _request(self, path: str, params: Mapping[str, Any] | None = None) -> httpx.Response:
        return self.client._client_wrapper.httpx_client.request(
            path, method="GET", params=dict(params or {})
        )

    def _explained(self, error: ApiError) -> LabelerError:
        status = error.status_code or 0
        if status in (401, 403):
            return LabelerError(
                f"Label Studio at {self.url} refuses the token (HTTP {status}); copy one from "
                "its Account & Settings into LABEL_STUDIO_API_KEY."
            )
        if status == 404:
            return LabelerError(
                f"Label Studio at {self.url} has no such thing (HTTP 404); run `mvps studio "
                "connect` again if its project was deleted."
            )
        said = str(error.body)[:300]
        text = f"Label Studio at {self.url} answers HTTP {status}: {said}"
        return StudioAwayError(text) if status >= 500 or status == 429 else LabelerError(text)
