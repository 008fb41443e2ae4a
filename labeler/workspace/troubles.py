"""Troubles: what went wrong with one item of some work, kept until that very item succeeds."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from labeler.errors import LabelerError
from labeler.text.valid import valid_text
from labeler.workspace.tables import Database, DatabaseAwayError, troubles

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trouble:
    """What went wrong with one item of some work, why, what to do about it, and since when."""

    work: str
    item: str
    reason: str
    cure: str
    since: datetime

    @property
    def sentence(self) -> str:
        """The trouble in one line: the item, the reason, and the cure."""
        return "; ".join(each for each in (f"{self.item}: {self.reason}", self.cure) if each)


class Troubles:
    """The troubles of a workspace; `mvps doctor`, the status page and /metrics tell of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def apart(
        self, work: str, item: str, cure: str = "", passing: tuple[type[LabelerError], ...] = ()
    ) -> Iterator[None]:
        """Do the work on one item so that its failure stops no other: it becomes a trouble.

        If the block succeeds, an earlier trouble of the item is over.

        Args:
            work: what is done, such as "fetch"; with `item`, it names the trouble.
            item: what it is done to: a file, a task, a clip.
            cure: what a person should do; "" if the error's own sentence says it.
            passing: errors that concern all items, and are raised.
        """
        try:
            yield
        except LabelerError as error:
            if isinstance(error, (DatabaseAwayError, *passing)):
                raise
            self.tell(work, item, str(error), cure)
        except Exception as error:
            logger.exception("%s of %s failed", work, item)
            self.tell(work, item, f"it failed unexpectedly ({type(error).__name__})", cure)
        else:
            self.solved(work, item)

    def tell(self, work: str, item: str, reason: str, cure: str = "") -> None:
        """Keep a trouble; `since` stays that of the first time."""
        values = {"reason": valid_text(reason), "cure": valid_text(cure)}
        key = {"work": work, "item": valid_text(item)}
        with self._database.writing() as connection:
            known = connection.execute(sa.update(troubles).filter_by(**key).values(**values))
            if not known.rowcount:
                connection.execute(
                    sa.insert(troubles).values(**key, **values, since=datetime.now(UTC))
                )

    def solved(self, work: str, item: str) -> None:
        """Forget the trouble of an item, if it has one."""
        self.settle(work, [item], {})

    def settle(self, work: str, done: Collection[str], failed: Mapping[str, str]) -> None:
        """Keep the reasons why some items failed, and forget the troubles of those that are done.

        It reads once, however many items there are.
        """
        valid = {valid_text(each) for each in done}
        self._forget([each for each in self.listed(work) if each.item in valid])
        for item, reason in failed.items():
            self.tell(work, item, reason)

    def keep_only(self, work: str, items: Collection[str]) -> None:
        """Forget the troubles of items that are not there any more."""
        valid = {valid_text(each) for each in items}
        self._forget([each for each in self.listed(work) if each.item not in valid])

    def listed(self, work: str | None = None) -> list[Trouble]:
        """List the troubles, or those of one work, the oldest first."""
        query = sa.select(troubles).order_by(troubles.c.since, troubles.c.item)
        if work is not None:
            query = query.filter_by(work=work)
        with self._database.reading() as connection:
            return [Trouble(**row._mapping) for row in connection.execute(query)]

    def _forget(self, over: list[Trouble]) -> None:
        if not over:
            return  # almost always: nothing is written then
        with self._database.writing() as connection:
            for each in over:
                connection.execute(sa.delete(troubles).filter_by(work=each.work, item=each.item))
