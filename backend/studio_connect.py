"""Makes the project in Label Studio what it should be; a second time it changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from backend import tables
from backend.credentials import SECRET_HEADER, Credentials
from backend.inbox import DELETED, SUBMITTED
from backend.label_config import LABEL_CONFIG, tabs
from backend.studio import Studio
from backend.tables import LABELING
from labeler.errors import LabelerError
from labeler.workspace import Workspace


@dataclass(frozen=True)
class Place:
    """Where things are for Label Studio.

    Attributes:
        backend: the address at which it reaches `mvps serve`.
        document_root: the folder that it serves files from.
        workspace: the workspace's folder, at or below that; both as Label Studio sees them.
    """

    backend: str
    document_root: Path
    workspace: Path

    @property
    def prefix(self) -> str:
        """Of the workspace's files below the document root, "" or `some/folder/`.

        Raises:
            LabelerError: they are not below it.
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


def connected_project(workspace: Workspace, url: str) -> int | None:
    """The number of the project that the workspace is labeled in, or None before `connect`."""
    workspace.database.complete(tables.metadata)
    table = tables.projects
    with workspace.database.reading() as connection:
        query = sa.select(table).where(table.c.role == LABELING, table.c.url == url)
        row = connection.execute(query).first()
    return None if row is None else int(row.project)


def connect(
    workspace: Workspace, studio: Studio, title: str, place: Place, credentials: Credentials
) -> list[str]:
    """Make or update the project, and return a sentence for each thing that was changed.

    Its tasks are added by `StudioSync.add_missing_tasks`.

    Raises:
        StudioAwayError: Label Studio does not answer.
        LabelerError: it refuses something, or cannot see the workspace.
    """
    prefix = place.prefix
    project, changes = _project(workspace, studio, title)
    changes += _storage(studio, project, place.workspace / "clips", prefix)
    changes += _backend(studio, project, place.backend, credentials)
    changes += _webhook(studio, project, f"{place.backend}/webhook", credentials.webhook_secret)
    changes += _tabs(studio, project)
    return changes


def _project(workspace: Workspace, studio: Studio, title: str) -> tuple[int, list[str]]:
    projects = studio.client.projects
    known = connected_project(workspace, studio.url)
    listed: list[Any] = studio.call(lambda: list(projects.list(page_size=100)))
    found = next((p for p in listed if p.id == known), None)
    found = found or next((p for p in listed if p.title == title), None)
    wanted: dict[str, Any] = {
        "label_config": LABEL_CONFIG,
        "show_collab_predictions": True,
        "evaluate_predictions_automatically": False,
        "enable_empty_annotation": True,
        "show_skip_button": True,
        "sampling": "Sequential sampling",
    }
    if found is None:
        made = studio.call(projects.create, title=title, **wanted)
        number, changes = int(made.id or 0), [f"Made the project {title!r}."]
    else:
        number, changes = int(found.id), []
        full = studio.call(projects.get, number)
        stale = {k: v for k, v in wanted.items() if getattr(full, k) != v}
        if stale:
            studio.call(projects.update, number, **stale)
            changes = [f"Updated {', '.join(sorted(stale))} of the project."]
    if number != known:
        table = tables.projects
        with workspace.database.writing() as connection:
            connection.execute(sa.delete(table).where(table.c.role == LABELING))
            row = {"role": LABELING, "url": studio.url, "project": number}
            connection.execute(sa.insert(table).values(**row))
    return number, changes


def _storage(studio: Studio, project: int, folder: Path, prefix: str) -> list[str]:
    """Label Studio serves only files that a storage of the project covers."""
    local = studio.client.import_storage.local
    storages = studio.call(local.list, project=project)
    if any(storage.path == str(folder) for storage in storages):
        return []
    studio.call(
        local.create, project=project, path=str(folder), title="MVPS clips", use_blob_urls=False
    )
    return [f"Added the storage {folder}."]


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
        return [f"Added the backend {url}."]
    if (ours.url, ours.basic_auth_user) != (url, credentials.user):
        studio.call(studio.client.ml.update, ours.id, project=project, **wanted)
        return [f"Updated the backend {url}."]
    return []


def _webhook(studio: Studio, project: int, url: str, secret: str) -> list[str]:
    """Label Studio makes one with the backend, but for all actions and without a secret."""
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
        return [f"Added the webhook {url}."]
    changes = []
    for extra in ours[1:]:
        studio.call(webhooks.delete, extra.id)
        changes.append("Removed a second webhook.")
    present = {name: getattr(ours[0], name) for name in wanted}
    present["actions"] = sorted(present["actions"] or [])
    if present != wanted or ours[0].url != url:
        studio.call(webhooks.update, ours[0].id, url=url, **wanted)
        changes.append(f"Set the secret and the actions of the webhook {url}.")
    return changes


def _tabs(studio: Studio, project: int) -> list[str]:
    views = studio.client.views
    present = {(view.data or {}).get("title") for view in studio.call(views.list, project=project)}
    changes = []
    for tab in tabs(project):
        if tab["title"] not in present:
            studio.call(views.create, project=project, data=tab)
            changes.append(f"Added the tab {tab['title']!r}.")
    return changes
