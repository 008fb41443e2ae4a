"""The projects that a workspace has in Label Studio, and what each is for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from backend.settings import Settings
from backend.store import tables
from backend.studio.label_config import (
    BLIND_CONFIG,
    BLIND_INSTRUCTION,
    CHECK_CONFIG,
    CHECK_INSTRUCTION,
    DECIDE_CONFIG,
    DECIDE_INSTRUCTION,
    LABEL_CONFIG,
    LABEL_INSTRUCTION,
    blind_tabs,
    check_tabs,
    decide_tabs,
    with_watch_link,
)
from backend.studio.label_config import tabs as labeling_tabs
from labeler.workspace.workspace import Workspace

BACKEND_TITLE = "MVPS labeler"
"""The title of our backend in Label Studio, and so the model version that the project shows."""


class Role(StrEnum):
    """What a project is for.

    In LABELING people correct masks. In CHECK a second person sees the first person's mask; in
    BLIND a second person sees none. In DECIDE a third person sees two masks in conflict. Label
    Studio Community has no review of its own.
    """

    LABELING = "labeling"
    CHECK = "check"
    BLIND = "blind"
    DECIDE = "decide"


@dataclass(frozen=True)
class ProjectPlan:
    """How a project is to be set up.

    With `pre_labels`, people see masks in it. With `masks`, Label Studio asks our backend for a
    mask where there is none. `instruction` is HTML; one that people have written is kept.
    `sampling` is the order of `Label All Tasks`; "Uncertainty sampling" draws among the tasks with
    a prediction of the project's model version.
    """

    role: Role
    title: str
    label_config: str
    tabs: list[dict[str, Any]]
    pre_labels: bool = True
    masks: bool = False
    instruction: str = ""
    sampling: str = "Sequential sampling"


def plans(settings: Settings) -> list[ProjectPlan]:
    """The projects that the settings ask for.

    Who masks a frame unseen gets no link to the clip's page, which shows all masks.
    """
    title = settings.project
    pages = (settings.pages_url or settings.backend_url).rstrip("/")
    config = with_watch_link(LABEL_CONFIG, pages)
    labeling = ProjectPlan(
        Role.LABELING,
        title,
        config,
        labeling_tabs(),
        masks=True,
        instruction=LABEL_INSTRUCTION,
        sampling="Uncertainty sampling",
    )
    found = [labeling]
    if settings.check == "confirm":
        config = with_watch_link(CHECK_CONFIG, pages)
        name = f"{title}: check"
        found.append(
            ProjectPlan(Role.CHECK, name, config, check_tabs(), instruction=CHECK_INSTRUCTION)
        )
    if settings.check == "blind" or settings.audit_share > 0:
        name, tabs = f"{title}: unseen", blind_tabs()
        blind = ProjectPlan(
            Role.BLIND,
            name,
            BLIND_CONFIG,
            tabs,
            pre_labels=False,
            instruction=BLIND_INSTRUCTION,
        )
        found.append(blind)
    if settings.check != "none":
        found.append(
            ProjectPlan(
                Role.DECIDE,
                f"{title}: third look",
                with_watch_link(DECIDE_CONFIG, pages),
                decide_tabs(),
                instruction=DECIDE_INSTRUCTION,
            )
        )
    return found


def connected_projects(workspace: Workspace, url: str) -> dict[Role, int]:
    """The numbers of the workspace's projects in the Label Studio at an address, by role."""
    workspace.database.complete(tables.metadata)
    with workspace.database.reading() as connection:
        rows = connection.execute(sa.select(tables.projects).filter_by(url=url)).all()
    return {Role(row.role): int(row.project) for row in rows}


def connected_project(workspace: Workspace, url: str) -> int | None:
    """The number of the project that the workspace is labeled in, or None before `connect`."""
    return connected_projects(workspace, url).get(Role.LABELING)


def roles(workspace: Workspace) -> dict[int, Role]:
    """What each known project is for, by number."""
    with workspace.database.reading() as connection:
        rows = connection.execute(sa.select(tables.projects)).all()
    return {int(row.project): Role(row.role) for row in rows}


def keep_project(workspace: Workspace, role: Role, url: str, number: int) -> None:
    """Record which project has a role, in place of the project that had it before."""
    table = tables.projects
    with workspace.database.writing() as connection:
        connection.execute(sa.delete(table).where(table.c.role == role))
        connection.execute(sa.insert(table).values(role=role, url=url, project=number))


def task_links(workspace: Workspace) -> dict[tuple[str, int], str]:
    """The address of each key frame's task, by clip and frame; none before `mvps studio connect`.

    They are read from the workspace alone: Label Studio need not run.
    """
    workspace.database.complete(tables.metadata)
    tasks, projects = tables.tasks, tables.projects
    query = (
        sa.select(tasks.c.clip, tasks.c.frame, tasks.c.task, projects.c.url, projects.c.project)
        .join(projects, projects.c.project == tasks.c.project)
        .where(projects.c.role == Role.LABELING)
    )
    with workspace.database.reading() as connection:
        return {
            (row.clip, row.frame): f"{row.url}/projects/{row.project}/data?task={row.task}"
            for row in connection.execute(query)
        }
