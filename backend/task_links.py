"""Where in Label Studio a key frame is labeled."""

import sqlalchemy as sa

from backend import tables
from backend.studio_projects import Role
from labeler.workspace import Workspace


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
