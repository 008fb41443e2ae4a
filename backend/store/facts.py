"""A few facts that one process tells the others, such as which weights the worker has."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from backend.store import tables
from labeler.text.valid import valid_text
from labeler.workspace.tables import Database

MODEL_VERSION = "model_version"
WORKER_ALIVE = "worker_alive"
STUDIO = "studio"
"""Why a call to Label Studio failed that has not succeeded since; "" if there is none."""

ALIVE = timedelta(seconds=30)
"""A worker that has given no sign of life for this long counts as dead."""


class Facts:
    """Facts by name, each with the time at which it was told."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.complete(tables.metadata)

    def tell(self, name: str, value: str) -> None:
        """Set a fact to its present value."""
        table = tables.facts
        row = {"value": valid_text(value), "at": datetime.now(UTC)}
        with self._database.writing() as connection:
            done = connection.execute(sa.update(table).filter_by(name=name).values(**row))
            if not done.rowcount:
                connection.execute(sa.insert(table).values(name=name, **row))

    @property
    def worker_alive(self) -> bool:
        """Whether a worker has given a sign of life within `ALIVE`."""
        heard = self.get(WORKER_ALIVE)
        return heard is not None and datetime.now(UTC) - heard[1] < ALIVE

    def get(self, name: str) -> tuple[str, datetime] | None:
        """Return the last value of a fact and when it was told; None if it never was."""
        table = tables.facts
        with self._database.reading() as connection:
            row = connection.execute(sa.select(table).filter_by(name=name)).first()
        return None if row is None else (row.value, row.at)
