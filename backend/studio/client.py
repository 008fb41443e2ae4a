"""A client for the few calls of Label Studio's API that this tool needs, with clear errors."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
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


FILTER_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The only format in which Label Studio takes a time in a filter; another is answered HTTP 500."""


class StudioAwayError(LabelerError):
    """Label Studio does not answer this now; another try may succeed."""


class StudioDownError(StudioAwayError):
    """Label Studio answers nothing now, so no other call is worth a try."""


class StudioMissingError(LabelerError):
    """Label Studio has no such thing."""


@dataclass(frozen=True)
class StudioTask:
    """A task in Label Studio's list: number, data, last change, annotations and predictions."""

    id: int
    data: dict[str, Any]
    updated: datetime
    annotations: int
    predictions: int


class Studio:
    """A Label Studio at one address.

    Every call raises StudioAwayError if another try may succeed, and LabelerError if not.

    Args:
        url: the address.
        key: a legacy token or a personal access token.

    Raises:
        LabelerError: the key cannot be a token.
    """

    def __init__(self, url: str, key: str) -> None:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise LabelerError(
                "LABEL_STUDIO_API_KEY has a space, a line break or another character that no token "
                "has; copy it again from Label Studio's Account & Settings."
            )
        self.url = url
        self.client = LabelStudio(  # type: ignore[no-untyped-call]
            base_url=url, api_key=key, timeout=TIMEOUT
        )
        self._authors: dict[int, str] = {}

    def close(self) -> None:
        """Close its connections."""
        self.client._client_wrapper.httpx_client.httpx_client.close()

    def whoami(self) -> str:
        """Return the e-mail address of the user to whom the token belongs."""
        return str(self.call(self._get, "api/current-user/whoami")["email"])

    def file_status(self, path: str) -> tuple[int, str]:
        """Return the HTTP status and the content type that Label Studio answers for a file."""
        answer = self.call(self._request, path.lstrip("/"))
        return answer.status_code, answer.headers.get("Content-Type", "")

    def author(self, number: int) -> str:
        """Return a user's e-mail address; "user 7" if Label Studio does not give it, no error."""
        if number not in self._authors:
            try:
                user = self.call(self._get, f"api/users/{number}/")
            except LabelerError:
                return f"user {number}"
            self._authors[number] = str(user.get("email") or f"user {number}")
        return self._authors[number]

    def people(self) -> int:
        """Return how many users Label Studio has."""
        return len(self.call(self._get, "api/users/"))

    def call(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the API, and convert its errors to ours."""
        try:
            return act(*args, **kwargs)
        except ApiError as error:
            raise self._explained(error) from None
        except httpx.HTTPError as error:
            raise StudioDownError(
                f"Label Studio does not answer at {self.url} ({error}); start it, or set "
                "LABEL_STUDIO_URL."
            ) from None

    def tasks(
        self, project: int, since: datetime | None = None, clip: str = ""
    ) -> Iterator[StudioTask]:
        """Iterate over a project's tasks without annotations.

        With `since`, over those that changed later; with `clip`, over those of that clip.
        """
        filters = []
        if since is not None:
            time = since.astimezone(UTC).strftime(FILTER_TIME)
            filters.append(_filter("updated_at", "greater", "Datetime", time))
        if clip:
            filters.append(_filter("data.clip", "equal", "String", clip))
        page = 1
        while True:
            found = self.call(self._page_of_tasks, project, page, filters)
            for task in found["tasks"]:
                yield _task_of(task)
            if page * PAGE >= found["total"]:
                return
            page += 1

    def annotations(self, task: int) -> list[dict[str, Any]]:
        """Return a task's annotations in the form in which a webhook sends them."""
        found = self.call(self._get, f"api/tasks/{task}/annotations/")
        return list(found)

    def annotation(self, number: int) -> dict[str, Any] | None:
        """Return an annotation in the form in which a webhook sends it; None if there is none."""
        try:
            found: dict[str, Any] = self.call(self._get, f"api/annotations/{number}/")
        except StudioMissingError:
            return None
        if "project" not in found:
            found["project"] = self._task(int(found["task"]))["project"]
        return found

    def task(self, number: int) -> StudioTask:
        """Return a task without its annotations.

        Raises:
            StudioMissingError: there is no such task.
        """
        return _task_of(self._task(number))

    def task_data(self, number: int) -> dict[str, Any]:
        """Return the data of a task.

        Raises:
            StudioMissingError: there is no such task.
        """
        return dict(self._task(number)["data"])

    def _task(self, number: int) -> Any:
        return self.call(self._get, f"api/tasks/{number}/")

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

    def add_predictions(
        self, project: int, predictions: Sequence[Mapping[str, Any]], model: str
    ) -> None:
        """Add predictions of these weights, each `task`, `result` and `score`; a hundred a call."""
        for start in range(0, len(predictions), PAGE):
            part = predictions[start : start + PAGE]
            self.call(
                self.client.projects.import_predictions,
                project,
                request=[{**each, "model_version": model} for each in part],  # type: ignore[misc]
            )

    def change_prediction(self, number: int, prediction: Mapping[str, Any], model: str) -> bool:
        """Change a prediction in its place; return False if there is none of this number.

        A page that is open goes on: Label Studio refuses a submission that was begun with a
        prediction which exists no more.
        """
        values = {name: prediction[name] for name in ("result", "score")}
        try:
            self.call(self.client.predictions.update, number, **values, model_version=model)
        except StudioMissingError:
            return False
        return True

    def predictions(self, task: int) -> list[int]:
        """Return the numbers of a task's predictions, the oldest first."""
        found = self.call(self._get, "api/predictions/", {"task": task})
        return sorted(int(each["id"]) for each in found)

    def delete_prediction(self, number: int) -> None:
        """Delete a prediction; it may be gone already."""
        with suppress(StudioMissingError):
            self.call(self.client.predictions.delete, number)

    def show_version(self, project: int, version: str) -> bool:
        """Let a project show the predictions of this version; return whether it showed others.

        The label stream shows no others. Label Studio knows a version only once the project has a
        prediction of it, or a backend with it as its title.
        """
        if self.call(self.client.projects.get, project).model_version == version:
            return False
        self.call(self.client.projects.update, project, model_version=version)
        return True

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

    def _page_of_tasks(self, project: int, page: int, filters: list[dict[str, str]]) -> Any:
        asked = {"project": project, "page": page, "page_size": PAGE, "fields": "task_only"}
        if filters:
            wanted = {"filters": {"conjunction": "and", "items": filters}}
            asked["query"] = json.dumps(wanted)
        return self._get("api/tasks", asked)

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Get JSON unchanged: the SDK's own types drop the fields that they do not know."""
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
            return StudioDownError(
                f"Label Studio at {self.url} refuses the token (HTTP {status}); copy one from "
                "its Account & Settings into LABEL_STUDIO_API_KEY."
            )
        if status == 404:
            return StudioMissingError(
                f"Label Studio at {self.url} has no such thing (HTTP 404); run `mvps studio "
                "connect` again if its project was deleted."
            )
        said = str(error.body)[:300]
        text = f"Label Studio at {self.url} answers HTTP {status}: {said}"
        if status in (429, 502, 503, 504):
            return StudioDownError(text)
        return StudioAwayError(text) if status >= 500 else LabelerError(text)


def _filter(field: str, operator: str, kind: str, value: str) -> dict[str, str]:
    return {"filter": f"filter:tasks:{field}", "operator": operator, "type": kind, "value": value}


def _task_of(found: Mapping[str, Any]) -> StudioTask:
    return StudioTask(
        id=found["id"],
        data=found["data"],
        updated=datetime.fromisoformat(found["updated_at"]),
        annotations=found["total_annotations"] + found["cancelled_annotations"],
        predictions=found["total_predictions"],
    )
