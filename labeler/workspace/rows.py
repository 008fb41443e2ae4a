"""Inserts and selects the database rows of clips and masks whose files are in place."""

from collections.abc import Sequence

import sqlalchemy as sa

from labeler.clip import Clip
from labeler.revision import Revision
from labeler.workspace import tables


def insert_clip(connection: sa.Connection, clip: Clip, revisions: Sequence[Revision]) -> None:
    """Insert the rows of a clip and of its masks; the clip's folder must be in place."""
    connection.execute(sa.insert(tables.clips).values(**vars(clip)))
    if revisions:
        connection.execute(sa.insert(tables.revisions), [vars(each) for each in revisions])


def insert_revision(connection: sa.Connection, revision: Revision) -> None:
    """Insert the row of a mask; its file must be in place."""
    connection.execute(sa.insert(tables.revisions).values(**vars(revision)))


def revisions_of(clip: str, frame: int | None) -> sa.Select[tuple[object, ...]]:
    """Build the query for the revisions of a clip, or of one frame, by frame and number."""
    table = tables.revisions
    query = sa.select(table).where(table.c.clip == clip).order_by(table.c.frame, table.c.number)
    return query if frame is None else query.where(table.c.frame == frame)
