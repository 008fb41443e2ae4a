"""Clips and masks as rows of the database, for whoever has put their files in place."""

from collections.abc import Sequence

import sqlalchemy as sa

from labeler.clip import Clip
from labeler.revision import Revision
from labeler.workspace import tables


def insert_clip(connection: sa.Connection, clip: Clip, revisions: Sequence[Revision]) -> None:
    """Make a clip known whose folder is in place, and its masks with it."""
    connection.execute(sa.insert(tables.clips).values(**vars(clip)))
    if revisions:
        connection.execute(sa.insert(tables.revisions), [vars(each) for each in revisions])


def insert_revision(connection: sa.Connection, revision: Revision) -> None:
    """Make a mask known whose file is in place."""
    connection.execute(sa.insert(tables.revisions).values(**vars(revision)))


def revisions_of(clip: str, frame: int | None) -> sa.Select[tuple[object, ...]]:
    """Ask for the revisions of a clip, or of one of its frames, by frame and number."""
    table = tables.revisions
    query = sa.select(table).where(table.c.clip == clip).order_by(table.c.frame, table.c.number)
    return query if frame is None else query.where(table.c.frame == frame)
