"""Makes and updates the projects in Label Studio; a second run changes nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.credentials import SECRET_HEADER, Credentials
from backend.store.identity import identity_of
from backend.store.inbox import DELETED, SUBMITTED
from backend.studio.client import Studio
from backend.studio.label_config import FORMER_TITLES
from backend.studio.projects import BACKEND_TITLE, ProjectPlan, connected_projects, keep_project
from labeler.errors import LabelerError
from labeler.text.valid import valid_text
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
    take_over: bool = False,
) -> list[str]:
    """Make or update projects, and return a sentence for each thing that was changed.

    Their tasks are added by `StudioSync.add_missing_tasks`. Projects of another workspace are left
    alone, unless they are to be taken over. Nothing is changed if one of them is another's.

    Raises:
        StudioAwayError: Label Studio does not answer.
        LabelerError: it refuses something, or cannot see the workspace.
    """
    prefix = place.prefix
    changes = []
    found = [_found(workspace, studio, plan, take_over) for plan in wanted]
    for plan, present in zip(wanted, found, strict=True):
        project, made = _project(workspace, studio, plan, present)
        made += _storage(studio, project, place.workspace / "clips", prefix)
        if plan.masks:
            made += _backend(studio, project, place.backend, credentials)
        made += _webhook(studio, project, f"{place.backend}/webhook", credentials.webhook_secret)
        made += _tabs(studio, project, plan.tabs)
        changes += [f"{plan.title}: {change}" for change in made]
    return changes


def owner(description: str | None) -> str | None:
    """Return the identity of the workspace that a project's description names, or None."""
    found = _OWNED.search(description or "")
    return None if found is None else found[1]


_OWNED = re.compile(r"MVPS workspace [^\n]*\(([0-9a-f]{16})\)")


def _found(workspace: Workspace, studio: Studio, plan: ProjectPlan, take_over: bool) -> Any:
    """Find the workspace's project for a plan in Label Studio; None if there is none yet.

    Raises:
        LabelerError: the project of that title is another workspace's.
    """
    projects, ours = studio.client.projects, identity_of(workspace.root)
    known = connected_projects(workspace, studio.url).get(plan.role)
    listed: list[Any] = studio.call(lambda: list(projects.list(page_size=100)))
    for found in [each for each in listed if each.id == known] or [
        each for each in listed if each.title == plan.title
    ]:
        whose = owner(found.description)
        if whose is None and found.id != known and _foreign_hook(studio, found.id):
            whose = "another one"  # it was connected by an earlier version
        if whose in (None, ours) or take_over:
            return found
        described = (found.description or whose).strip().partition("\n")[0]
        raise LabelerError(
            f"The project {plan.title!r} (number {found.id}) at {studio.url} belongs to another "
            f"workspace: {described}. Give this workspace projects of its own by another title in "
            "MVPS_PROJECT; to label one workspace from two places, use its folder in both; to move "
            "the project to this workspace, run `mvps studio connect --take-over`."
        )
    return None


def _foreign_hook(studio: Studio, project: int) -> bool:
    """Whether a project has a webhook to a service like ours."""
    listed = studio.call(studio.client.webhooks.list, project=str(project))
    return any(SECRET_HEADER in (each.headers or {}) for each in listed)


def _project(
    workspace: Workspace, studio: Studio, plan: ProjectPlan, found: Any
) -> tuple[int, list[str]]:
    """Make or update the project of a plan; return its number, and what was changed."""
    projects = studio.client.projects
    known = connected_projects(workspace, studio.url).get(plan.role)
    name = workspace.root.resolve().name
    wanted: dict[str, Any] = {
        "label_config": plan.label_config,
        "show_collab_predictions": plan.pre_labels,
        "evaluate_predictions_automatically": False,
        "enable_empty_annotation": True,
        "show_skip_button": True,
        "expert_instruction": plan.instruction,
        "show_instruction": True,  # else the page has no button for it
        "sampling": plan.sampling,
        "description": f"MVPS workspace {valid_text(name, 100)} ({identity_of(workspace.root)})",
    }
    if found is None:
        made = studio.call(projects.create, title=plan.title, **wanted)
        number, changes = int(made.id or 0), ["made the project."]
    else:
        number, changes = int(found.id), []
        full = studio.call(projects.get, number)
        if owner(full.description) == identity_of(workspace.root):
            del wanted["description"]  # somebody may have added to it
        if full.expert_instruction:
            del wanted["expert_instruction"], wanted["show_instruction"]  # they may be people's
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
        "title": BACKEND_TITLE,
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
    """Add the tabs that are missing; a tab that has an earlier version's title gets the new one."""
    views = studio.client.views
    present = {
        str((view.data or {}).get("title")): view
        for view in studio.call(views.list, project=project)
    }
    titles = {tab["title"] for tab in wanted}
    changes = []
    for former, title in FORMER_TITLES.items():
        if former in present and title in titles and title not in present:
            view = present[title] = present.pop(former)
            data = dict(view.data or {}) | {"title": title}
            studio.call(views.update, str(view.id), project=project, data=data)
            changes.append(f"renamed the tab {former!r} to {title!r}.")
    for tab in wanted:
        if tab["title"] not in present:
            studio.call(views.create, project=project, data=dict(tab))
            changes.append(f"added the tab {tab['title']!r}.")
    return changes
