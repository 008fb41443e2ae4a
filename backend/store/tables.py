"""The plugin's tables in the workspace's database, beside those of clips and masks."""

import sqlalchemy as sa

from labeler.workspace.tables import UtcTime

metadata = sa.MetaData()

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("received", UtcTime, nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("project", sa.BigInteger, nullable=False),
    sa.Column("annotation", sa.BigInteger, nullable=False),
    sa.Column("version", sa.String(60), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("note", sa.String, nullable=False, server_default=""),
    sa.Column("prelabel_iou", sa.Float),
    sa.UniqueConstraint("project", "annotation", "version"),
)

annotations = sa.Table(
    "annotations",
    metadata,
    sa.Column("project", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("annotation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String, nullable=False, server_default=""),
    sa.Column("clip", sa.String(100), nullable=False, server_default=""),
    sa.Column("frame", sa.Integer, nullable=False, server_default="-1"),
    sa.Column("deleted", UtcTime),
)

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("role", sa.String(20), primary_key=True),
    sa.Column("url", sa.String, nullable=False),
    sa.Column("project", sa.BigInteger, nullable=False),
)

tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("project", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("clip", sa.String(100), primary_key=True),
    sa.Column("frame", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("task", sa.BigInteger, nullable=False, index=True),
    sa.Column("shown", sa.Integer, nullable=False, server_default="0"),
    sa.Column("prediction", sa.BigInteger),
    sa.Column("fields", sa.JSON, nullable=False),
    sa.Column("seen", UtcTime),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("clip", sa.String(100), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("done", sa.Integer, nullable=False, server_default="0"),
    sa.Column("total", sa.Integer, nullable=False, server_default="0"),
    sa.Column("started", UtcTime, nullable=False),
    sa.Column("ended", UtcTime),
    sa.Column("error", sa.String, nullable=False, server_default=""),
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)
