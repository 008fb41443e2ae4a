"""Makes and updates the projects in Label Studio; a second run changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.credentials import SECRET_HEADER, Credentials
from backend.store.inbox import DELETED, SUBMITTED
from backend.studio.client import Studio
from backend.studio.projects import ProjectPlan, connected_projects, keep_project
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace


@dataclass(frozen=True)
class Place:
    """Addresses and folders as Label Studio sees them.

    Attributes:
        backend: the address at which it reaches `mvps serve`.
        document_root: the folder that it serves files from.
        workspace: the workspace's folder: the document root or a folder below it.
    """

    backend: str
    document_root: Path
    workspace: Path

    @property
    def prefix(self) -> str:
        """The path of the workspace below the document root: "" or `some/folder/`.

        Raises:
            LabelerError: the workspace is not below the document root.
        """
        try:
            below = self.workspace.relative_to(self.document_root).as_posix()
        except ValueError:
            raise LabelerError(
                f"{self.workspace} is not below {self.document_root}, the folder that Label "
                "Studio serves files from; set LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT to the "
                "workspace or to a folder above it, for Label Studio and here."
            ) from None
        return "" if below == "." else f"{below}/"


def connect(
    workspace: Workspace,
    studio: Studio,
    wanted: Sequence[ProjectPlan],
    place: Place,
    credentials: Credentials,
) -> list[str]:
    """Make or update projects, and return a sentence for each thing that was changed.

    Their tasks are added by `StudioSync.add_missing_tasks`.

    Raises:
        StudioAwayError: Label Studio does not answer.
        LabelerError: it refuses something, or cannot see the workspace.
    """
    prefix = place.prefix
    changes = []
    for plan in wanted:
        project, made = _project(workspace, studio, plan)
        made += _storage(studio, project, place.workspace / "clips", prefix)
        if plan.masks:
            made += _backend(studio, project, place.backend, credentials)
        made += _webhook(studio, project, f"{place.backend}/webhook", credentials.webhook_secret)
        made += _tabs(studio, project, plan.tabs)
        changes += [f"{plan.title}: {change}" for change in made]
    return changes


def _project(workspace: Workspace, studio: Studio, plan: ProjectPlan) -> tuple[int, list[str]]:
    projects = studio.client.projects
    known = connected_projects(workspace, studio.url).get(plan.role)
    listed: list[Any] = studio.call(lambda: list(projects.list(page_size=100)))
    found = next((p for p in listed if p.id == known), None)
    found = found or next((p for p in listed if p.title == plan.title), None)
    wanted: dict[str, Any] = {
        "label_config": plan.label_config,
        "show_collab_predictions": plan.pre_labels,
        "evaluate_predictions_automatically": False,
        "enable_empty_annotation": True,
        "show_skip_button": True,
        "sampling": "Sequential sampling",
    }
    if found is None:
        made = studio.call(projects.create, title=plan.title, **wanted)
        number, changes = int(made.id or 0), ["made the project."]
    else:
        number, changes = int(found.id), []
        full = studio.call(projects.get, number)
        stale = {k: v for k, v in wanted.items() if getattr(full, k) != v}
        if stale:
            studio.call(projects.update, number, **stale)
            changes = [f"updated {', '.join(sorted(stale))}."]
    if number != known:
        keep_project(workspace, plan.role, studio.url, number)
    return number, changes


def _storage(studio: Studio, project: int, folder: Path, prefix: str) -> list[str]:
    """Add a storage, since Label Studio serves only files that a storage of the project covers."""
    local = studio.client.import_storage.local
    storages = studio.call(local.list, project=project)
    if any(storage.path == str(folder) for storage in storages):
        return []
    studio.call(
        local.create, project=project, path=str(folder), title="MVPS clips", use_blob_urls=False
    )
    return [f"added the storage {folder}."]


def _backend(studio: Studio, project: int, url: str, credentials: Credentials) -> list[str]:
    backends = studio.call(studio.client.ml.list, project=project)
    wanted: dict[str, Any] = {
        "url": url,
        "title": "MVPS labeler",
        "auth_method": "BASIC_AUTH",
        "basic_auth_user": credentials.user,
        "basic_auth_pass": credentials.password,
    }
    ours = next((each for each in backends if each.title == wanted["title"]), None)
    if ours is None:
        studio.call(studio.client.ml.create, project=project, **wanted)
        return [f"added the backend {url}."]
    if (ours.url, ours.basic_auth_user) != (url, credentials.user):
        studio.call(studio.client.ml.update, ours.id, project=project, **wanted)
        return [f"updated the backend {url}."]
    return []


def _webhook(studio: Studio, project: int, url: str, secret: str) -> list[str]:
    """Set actions and secret of the webhook; Label Studio makes it without, for all actions."""
    webhooks = studio.client.webhooks
    wanted: Mapping[str, Any] = {
        "headers": {SECRET_HEADER: secret},
        "actions": sorted([*SUBMITTED, DELETED]),
        "send_for_all_actions": False,
        "send_payload": True,
        "is_active": True,
    }
    listed = studio.call(webhooks.list, project=str(project))
    ours = [each for each in listed if each.url == url or SECRET_HEADER in (each.headers or {})]
    if not ours:
        studio.call(webhooks.create, url=url, project=project, **wanted)
        return [f"added the webhook {url}."]
    changes = []
    for extra in ours[1:]:
        studio.call(webhooks.delete, extra.id)
        changes.append("removed a second webhook.")
    present = {name: getattr(ours[0], name) for name in wanted}
    present["actions"] = sorted(present["actions"] or [])
    if present != wanted or ours[0].url != url:
        studio.call(webhooks.update, ours[0].id, url=url, **wanted)
        changes.append(f"set the secret and the actions of the webhook {url}.")
    return changes


def _tabs(studio: Studio, project: int, wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    views = studio.client.views
    present = {(view.data or {}).get("title") for view in studio.call(views.list, project=project)}
    changes = []
    for tab in wanted:
        if tab["title"] not in present:
            studio.call(views.create, project=project, data=dict(tab))
            changes.append(f"added the tab {tab['title']!r}.")
    return changes
