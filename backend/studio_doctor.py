"""What is wrong between Label Studio, the service and the worker, and how to fix it."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx

from backend.check import Check, State
from backend.credentials import SECRET_HEADER, Credentials, credentials
from backend.facts import WORKER_ALIVE, Facts
from backend.inbox import DELETED, SUBMITTED
from backend.settings import Settings
from backend.studio import Studio
from backend.studio_projects import Role, connected_projects
from labeler.errors import LabelerError
from labeler.workspace import Workspace

CONNECT = "run `mvps studio connect`"
SECONDS = 5.0


def examine_studio(settings: Settings, workspace: Workspace) -> list[Check]:
    """Look at everything that labeling in Label Studio stands on.

    What rests on something that is at fault is not looked at.
    """
    if not settings.studio_key:
        found = "not in use: LABEL_STUDIO_API_KEY is not set"
        return [Check("studio", State.FINE, found)]
    return list(_checks(settings, workspace))


def _checks(settings: Settings, workspace: Workspace) -> Iterator[Check]:
    known = credentials(settings)
    yield _service(settings.backend_url.rstrip("/"), known)
    yield _worker(workspace)
    studio = Studio(settings.studio_url.rstrip("/"), settings.studio_key)
    try:
        user = studio.whoami()
    except LabelerError as error:
        yield Check("studio", State.FAULT, str(error), "see the message")
        return
    yield Check("studio", State.FINE, f"{studio.url}, as {user}")
    projects = connected_projects(workspace, studio.url)
    project = projects.get(Role.LABELING)
    if project is None:
        yield Check("project", State.FAULT, "the workspace has no project there", CONNECT)
        return
    looks: list[Callable[[], Check]] = [
        lambda: _files(studio, project),
        lambda: _backend(studio, project, settings.backend_url.rstrip("/")),
        lambda: _webhooks(studio, projects, settings.backend_url.rstrip("/"), known),
    ]
    for look in looks:
        try:
            yield look()
        except LabelerError as error:
            yield Check("project", State.FAULT, str(error), "see the message")


def _service(url: str, known: Credentials) -> Check:
    fix = "start `mvps serve`, or set MVPS_BACKEND_URL to where it is"
    try:
        answer = httpx.get(f"{url}/health", auth=(known.user, known.password), timeout=SECONDS)
    except httpx.HTTPError as error:
        return Check("service", State.FAULT, f"{url} does not answer ({error})", fix)
    if answer.status_code == 401:
        fix = "give it and this command the same BASIC_AUTH_USER and BASIC_AUTH_PASS"
        return Check("service", State.FAULT, f"{url} refuses our user and password", fix)
    if answer.status_code != 200:
        return Check("service", State.FAULT, f"{url} answers HTTP {answer.status_code}", fix)
    return Check("service", State.FINE, url)


def _worker(workspace: Workspace) -> Check:
    facts = Facts(workspace.database)
    if not facts.worker_alive:
        heard = facts.get(WORKER_ALIVE)
        since = "never" if heard is None else f"since {heard[1]:%Y-%m-%d %H:%M:%S} UTC"
        return Check("worker", State.FAULT, f"not heard of {since}", "start `mvps worker`")
    return Check("worker", State.FINE, "at work")


def _files(studio: Studio, project: int) -> Check:
    """Whether Label Studio can show the picture of a task."""
    task = next(studio.tasks(project), None)
    if task is None:
        return Check("files", State.WARNING, "the project has no tasks", CONNECT)
    path = str(task.data.get("image"))
    status, kind = studio.file_status(path)
    if status == 200 and kind.startswith("image/"):
        return Check("files", State.FINE, f"Label Studio serves {path}")
    return Check(
        "files",
        State.FAULT,
        f"Label Studio answers HTTP {status} for {path}",
        "start it with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to a folder that holds the workspace, set "
        f"the latter here too, and {CONNECT}",
    )


def _backend(studio: Studio, project: int, url: str) -> Check:
    backends: list[Any] = studio.call(studio.client.ml.list, project=project)
    ours = next((each for each in backends if each.url == url), None)
    if ours is None:
        return Check("backend", State.FAULT, f"the project has no backend {url}", CONNECT)
    if ours.state == "CO":
        return Check("backend", State.FINE, f"Label Studio reaches {url}")
    return Check(
        "backend",
        State.FAULT,
        f"Label Studio cannot reach {url}: {ours.error_message or ours.readable_state}",
        "if that address is private or on this machine, start Label Studio with "
        f"ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false; then {CONNECT}",
    )


def _webhooks(studio: Studio, projects: dict[Role, int], url: str, known: Credentials) -> Check:
    """The first webhook that is at fault, or that all are fine."""
    found = [_webhook(studio, project, url, known) for project in projects.values()]
    return next((each for each in found if each.state is State.FAULT), found[0])


def _webhook(studio: Studio, project: int, url: str, known: Credentials) -> Check:
    listed: list[Any] = studio.call(studio.client.webhooks.list, project=str(project))
    ours = [each for each in listed if each.url == f"{url}/webhook"]
    if len(ours) != 1:
        found = f"the project has {len(ours)} webhooks to {url}/webhook, not 1"
        return Check("webhook", State.FAULT, found, CONNECT)
    [hook] = ours
    if (hook.headers or {}).get(SECRET_HEADER) != known.webhook_secret:
        found = "it does not have our secret, so submissions would be refused"
        return Check("webhook", State.FAULT, found, CONNECT)
    if set(hook.actions or []) != {*SUBMITTED, DELETED} or not hook.is_active:
        found = "it does not tell of submissions and deletions"
        return Check("webhook", State.FAULT, found, CONNECT)
    return Check("webhook", State.FINE, "tells of submissions and deletions")
