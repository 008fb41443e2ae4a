"""The database: its tables, and how it is opened for several processes at once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from labeler.clip import Scenario
from labeler.revision import Provenance, Shown


class _FractionText(sa.TypeDecorator[Fraction]):
    """A fraction, stored as "24000/1001" so that no digit is lost."""

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> Any:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Fraction | None:
        return None if value is None else Fraction(value)


class _Integers(sa.TypeDecorator[tuple[int, ...]]):
    """A few integers, stored as a JSON list; None stays None."""

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: tuple[int, ...] | None, dialect: Dialect) -> Any:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[int, ...] | None:
        return None if value is None else tuple(json.loads(value))


class UtcTime(sa.TypeDecorator[datetime]):
    """A point in time, stored and returned in UTC."""

    impl = sa.DateTime()
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: D102
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(  # noqa: D102
        self, value: Any, dialect: Dialect
    ) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class _Numbers(sa.TypeDecorator[tuple[int, ...]]):
    """A few numbers, stored as "5,6"."""

    impl = sa.String(100)
    cache_ok = True

    def process_bind_param(self, value: tuple[int, ...] | None, dialect: Dialect) -> Any:
        return None if value is None else ",".join(map(str, value))

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[int, ...]:
        return tuple(map(int, value.split(","))) if value else ()


def _values(enum: type[StrEnum]) -> list[str]:
    return [member.value for member in enum]


metadata = sa.MetaData()

clips = sa.Table(
    "clips",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("scenario", sa.Enum(Scenario, values_callable=_values), nullable=False),
    sa.Column("frame_count", sa.Integer, nullable=False),
    sa.Column("fps", _FractionText, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("stride", sa.Integer, nullable=False),
    sa.Column("licence", sa.String, nullable=False, server_default=""),
    sa.Column("first_frame", sa.Integer, nullable=False, server_default="0"),
    sa.Column("source_frames", sa.Integer),
    sa.Column("cuts", _Integers),
)

revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("clip", sa.ForeignKey("clips.name"), primary_key=True),
    sa.Column("frame", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("provenance", sa.Enum(Provenance), nullable=False),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("model_version", sa.String, nullable=False),
    sa.Column("references", sa.String, nullable=False),
    sa.Column("uncertainty", sa.Float),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("area", sa.Integer, nullable=False),
    sa.Column("created", UtcTime, nullable=False),
    sa.Column("annotation", sa.String, nullable=False, server_default=""),
    sa.Column("withdrawn", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column(
        "look", sa.Enum(Shown, values_callable=_values), nullable=False, server_default=Shown.LABEL
    ),
    sa.Column("judges", _Numbers, nullable=False, server_default=""),
    sa.Column("reason", sa.String, nullable=False, server_default=""),
    sa.Column("lead_time", sa.Float),
)

agreements = sa.Table(  # a cache: rows that are lost are computed again
    "agreements",
    metadata,
    sa.Column("first", sa.String(64), primary_key=True),
    sa.Column("second", sa.String(64), primary_key=True),
    sa.Column("region", sa.Float, nullable=False),
    sa.Column("boundary", sa.Float, nullable=False),
)


class Database:
    """The tables, for threads and processes that read and write at once.

    SQLite runs in WAL mode: readers never wait, writers take turns. A SQLAlchemy URL names any
    other database.
    """

    def __init__(self, url: str) -> None:
        sqlite = url.startswith("sqlite")
        self._engine = sa.create_engine(url, connect_args={"timeout": 60} if sqlite else {})
        if sqlite:
            sa.event.listen(self._engine, "connect", _configure_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        self.complete(metadata)

    def complete(self, wanted: sa.MetaData) -> None:
        """Add the tables, and the columns of tables, that the database does not have yet."""
        with self._engine.connect() as connection:
            if not _missing(connection, wanted):
                return
        with self.writing() as connection:
            wanted.create_all(connection)
            for column in _missing(connection, wanted):
                definition = sa.schema.CreateColumn(column).compile(connection)
                connection.execute(
                    sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}")
                )

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a connection whose reads see one state of the database."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end of the block, or not at all.

        In SQLite it holds the only write lock from the start, so that what it reads stays true
        until it has written.
        """
        with self._engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


def _missing(connection: sa.Connection, wanted: sa.MetaData) -> list[sa.Column[Any]]:
    inspector = sa.inspect(connection)
    present = set(inspector.get_table_names())
    return [
        column
        for table in wanted.sorted_tables
        for known in [
            {each["name"] for each in inspector.get_columns(table.name)}
            if table.name in present
            else set()
        ]
        for column in table.columns
        if column.name not in known
    ]


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; see _begin_sqlite
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # what a caller was told is saved, is on disk
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
