"""The database: its tables, and how it is opened for several processes at once."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from labeler.clip import Scenario
from labeler.errors import LabelerError
from labeler.revision import Provenance, Shown


class DatabaseAwayError(LabelerError):
    """The database cannot be used now, for a reason that concerns all of it; try again later."""


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
    sa.Column("split", sa.String(5), nullable=False, server_default=""),
    sa.Column("title", sa.String, nullable=False, server_default=""),
    sa.Column("first_number", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("number_step", sa.BigInteger, nullable=False, server_default="1"),
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


troubles = sa.Table(
    "troubles",
    metadata,
    sa.Column("work", sa.String(20), primary_key=True),
    sa.Column("item", sa.String, primary_key=True),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("cure", sa.String, nullable=False),
    sa.Column("since", UtcTime, nullable=False),
)


WRITERS = 0x6D767073
"""The number of the lock by which writers take turns in PostgreSQL."""


class Database:
    """The tables, for threads and processes that read and write at once.

    SQLite runs in WAL mode: readers never wait, writers take turns, each for at most `patience`
    seconds. A SQLAlchemy URL names any other database.
    """

    def __init__(self, url: str, patience: float = 60.0) -> None:
        sqlite = url.startswith("sqlite")
        # SQLite lets writers poll, ever more rarely: threads of one process queue up instead.
        self._turn: AbstractContextManager[Any] = Lock() if sqlite else nullcontext()
        try:
            self._engine = sa.create_engine(
                url,
                connect_args={"timeout": patience} if sqlite else {},
                pool_pre_ping=not sqlite,  # a server may have been restarted since
            )
        except ModuleNotFoundError as error:
            raise LabelerError(
                f"MVPS_DATABASE_URL needs the package {error.name}; for postgresql+psycopg://, run "
                "`pip install mvps-labeler[postgres]`."
            ) from None
        except sa.exc.ArgumentError:
            raise LabelerError(
                "MVPS_DATABASE_URL names no database; write it as "
                "postgresql+psycopg://USER:PASSWORD@HOST/NAME."
            ) from None
        if sqlite:
            sa.event.listen(self._engine, "connect", _configure_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        self.complete(metadata)

    def complete(self, wanted: sa.MetaData) -> None:
        """Add the tables, and the columns of tables, that the database does not have yet."""
        with _told_apart(self._engine), self._engine.connect() as connection:
            if not _missing(connection, wanted) and not _widened(connection, wanted):
                return
        with self.writing() as connection:
            wanted.create_all(connection)
            for statement in _widened(connection, wanted):
                connection.execute(sa.text(statement))
            for column in _missing(connection, wanted):
                definition = sa.schema.CreateColumn(column).compile(connection)
                connection.execute(
                    sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}")
                )

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a connection whose reads see one state of the database.

        Raises:
            DatabaseAwayError: the database cannot be used now.
        """
        with _told_apart(self._engine), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end of the block, or not at all.

        In SQLite it holds the only write lock from the start, so that what it reads stays true
        until it has written. In PostgreSQL writers take turns by a lock of their own, which readers
        do not notice.

        Raises:
            DatabaseAwayError: the database cannot be used now.
        """
        with self._turn, _told_apart(self._engine), self._engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS)))
                yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


@contextmanager
def _told_apart(engine: sa.Engine) -> Iterator[None]:
    """Raise DatabaseAwayError where the fault is not in what was asked of the database."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        # Errors of the class itself are damaged files; its other subclasses concern one statement.
        general = isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
        if not general and type(error) is not sa.exc.DatabaseError:
            raise
        raise DatabaseAwayError(_sentence(engine.url, str(error.orig))) from error


DAMAGED = (
    "is damaged; put back a copy of it. If there is none, move it away: clips and masks are taken "
    "in again from their files, and Label Studio is asked for what was not recorded yet"
)

CURES = {
    "locked": "has been held by another program for a minute; end that program and try again",
    "full": "cannot be written, since the disk is full; free some space and try again",
    "readonly": "may not be written; give its file and its folder back to your user",
    "I/O error": "cannot be read or written; look at the disk that it is on",
    "unable to open": "cannot be opened; give its file and its folder back to your user",
    "malformed": DAMAGED,
    "not a database": DAMAGED,
}
"""What to do about a database, by what it says itself."""


def _sentence(url: sa.URL, said: str) -> str:
    """Say what is wrong with a database, and what to do about it."""
    name = url.database if url.get_backend_name() == "sqlite" else url.render_as_string()
    cure = next((cure for word, cure in CURES.items() if word in said), None)
    if cure is None:
        cure = "does not answer; start it, or correct MVPS_DATABASE_URL"
    return f"The database {name} {cure}."


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


def _widened(connection: sa.Connection, wanted: sa.MetaData) -> list[str]:
    """Return what makes room for large numbers in a PostgreSQL that an earlier version made."""
    if connection.dialect.name != "postgresql":
        return []  # SQLite's numbers have 64 bits
    inspector = sa.inspect(connection)
    present = set(inspector.get_table_names())
    return [
        f'ALTER TABLE {table.name} ALTER COLUMN "{column["name"]}" TYPE BIGINT'
        for table in wanted.sorted_tables
        if table.name in present
        for column in inspector.get_columns(table.name)
        if column["name"] in table.c
        and isinstance(table.c[column["name"]].type, sa.BigInteger)
        and not isinstance(column["type"], sa.BigInteger)
    ]


def _configure_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late; see _begin_sqlite
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # what a caller was told is saved, is on disk
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
