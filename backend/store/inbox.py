"""The inbox: events from Label Studio, stored before anything is done about them."""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from backend.store import tables
from labeler.errors import LabelerError
from labeler.text.valid import valid_text
from labeler.workspace.tables import Database

SUBMITTED = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})
DELETED = "ANNOTATIONS_DELETED"
FETCHED = "FETCHED"
"""The action of an event that no webhook told, but that was read from Label Studio."""


class EventState(StrEnum):
    """How far an event has come.

    PENDING waits for the worker. ASKING waits for a person, who makes it CONFIRMED (the worker
    takes it up again) or DISMISSED. REFUSED could not be read as a mask. An event keeps its body
    in every state but DONE, so that nothing is lost.
    """

    PENDING = "pending"
    DONE = "done"
    ASKING = "asking"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    DISMISSED = "dismissed"


@dataclass(frozen=True)
class Event:
    """One state of one annotation as Label Studio sent it, or the annotation's deletion.

    `version` tells the states of an annotation apart. `body` holds the annotation and the data of
    its task; once the event is DONE, only the data; for a deletion, nothing.
    """

    id: int
    received: datetime
    action: str
    project: int
    annotation: int
    version: str
    state: EventState
    note: str
    body: dict[str, Any]

    @property
    def clip(self) -> str:
        """The clip that the task names; "" if it names none."""
        found = self._data.get("clip")
        return found if isinstance(found, str) else ""

    @property
    def frame(self) -> int:
        """The key frame that the task names; -1 if it names none."""
        found = self._data.get("frame")
        return found if type(found) is int and 0 <= found < 1 << 31 else -1

    @property
    def _data(self) -> Mapping[str, Any]:
        data = self.body.get("data")
        return data if isinstance(data, dict) else {}


class Inbox:
    """The events of a workspace, in the order in which they came."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.complete(tables.metadata)

    def put(self, payload: Mapping[str, Any]) -> int:
        """Store the events of a call of the webhook; an event is never stored twice.

        Returns:
            How many events are new; 0 for actions that have nothing to do with annotations.

        Raises:
            LabelerError: the payload is not what Label Studio sends.
        """
        action = str(payload.get("action"))
        if action in SUBMITTED:
            annotation, task = _dict(payload, "annotation"), _dict(payload, "task")
            return self.put_annotation(action, annotation, _dict(task, "data"))
        if action == DELETED:
            project = _integer(_dict(payload, "project"), "id")
            deleted = payload.get("annotations")
            if not isinstance(deleted, list) or not all(isinstance(d, dict) for d in deleted):
                raise LabelerError(
                    "The deletion names no annotations; send it as Label Studio does."
                )
            return sum(self.put_deletion(project, _integer(each, "id")) for each in deleted)
        return 0

    def put_annotation(
        self, action: str, annotation: Mapping[str, Any], data: Mapping[str, Any]
    ) -> int:
        """Store one state of an annotation with its task's data; return 1 if it is new, else 0.

        Raises:
            LabelerError: the annotation is not what Label Studio sends.
        """
        project, number = _integer(annotation, "project"), _integer(annotation, "id")
        version = version_of(annotation)
        body = {"annotation": dict(annotation), "data": dict(data)}
        return self._insert(action, project, number, version, body)

    def believe(
        self, event: Event, annotation: Mapping[str, Any], data: Mapping[str, Any]
    ) -> Event | None:
        """Replace what a message said by what Label Studio says.

        Returns:
            The event as it is then; None if this state came in another event: this one is
            dismissed.

        Raises:
            LabelerError: the annotation is not what Label Studio sends.
        """
        version = version_of(annotation)
        true = replace(
            event,
            project=_integer(annotation, "project"),
            version=version,
            body={"annotation": dict(annotation), "data": dict(data)},
        )
        table = tables.events
        state = (table.c.annotation == event.annotation) & (table.c.version == version)
        with self._database.writing() as connection:
            others = state & (table.c.project == true.project) & (table.c.id != event.id)
            if connection.execute(sa.select(table.c.id).where(others)).first() is None:
                changes = {"project": true.project, "version": version, "body": _packed(true.body)}
                connection.execute(sa.update(table).where(table.c.id == event.id).values(**changes))
                return true
        self.settle(event, EventState.DISMISSED, "told in another message")
        return None

    def is_deleted(self, event: Event) -> bool:
        """Whether Label Studio told that the annotation of an event was deleted."""
        table = tables.events
        query = sa.select(table.c.id).filter_by(action=DELETED, annotation=event.annotation)
        with self._database.reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def put_deletion(self, project: int, annotation: int) -> int:
        """Store that an annotation was deleted; return 1."""
        version = f"deleted {datetime.now(UTC).isoformat()}"
        return self._insert(DELETED, project, annotation, version, {})

    def pending(self) -> Iterator[Event]:
        """Iterate over the events to take up, oldest first, with those that arrive meanwhile."""
        last = 0
        while (event := self._next_pending(last)) is not None:
            last = event.id
            yield event

    def listed(self, *states: EventState, limit: int | None = None) -> list[Event]:
        """Return the events in these states, oldest first; with a limit, only the newest ones."""
        table = tables.events
        query = sa.select(table).where(table.c.state.in_(states)).order_by(table.c.id.desc())
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [_event(row) for row in reversed(rows)]

    def counted(self) -> dict[EventState, int]:
        """Count the events in each state."""
        state = tables.events.c.state
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(state, sa.func.count()).group_by(state)).all()
        return {EventState(row[0]): row[1] for row in rows}

    def get(self, number: int) -> Event:
        """Return the event of this number.

        Raises:
            LabelerError: there is none.
        """
        with self._database.reading() as connection:
            table = tables.events
            row = connection.execute(sa.select(table).where(table.c.id == number)).first()
        if row is None:
            raise LabelerError(f"There is no event {number}; reload the page.")
        return _event(row)

    def settle(
        self, event: Event, state: EventState, note: str = "", prelabel_iou: float | None = None
    ) -> None:
        """Record what came of an event; the annotation of a DONE event is dropped.

        A question about an earlier state of the same annotation is dismissed then.
        """
        changes: dict[str, Any] = {
            "state": state,
            "note": valid_text(note),
            "prelabel_iou": prelabel_iou,
        }
        if state is EventState.DONE:
            changes["body"] = _packed({"data": event.body.get("data", {})})
        table = tables.events
        with self._database.writing() as connection:
            connection.execute(sa.update(table).where(table.c.id == event.id).values(**changes))
            if state is EventState.DONE:
                connection.execute(
                    sa.update(table)
                    .where(table.c.project == event.project)
                    .where(table.c.annotation == event.annotation)
                    .where(table.c.state == EventState.ASKING, table.c.version < event.version)
                    .values(state=EventState.DISMISSED, note="overtaken by a later submission")
                )

    def _insert(
        self, action: str, project: int, annotation: int, version: str, body: dict[str, Any]
    ) -> int:
        row = {
            "received": datetime.now(UTC),
            "action": action,
            "project": project,
            "annotation": annotation,
            "version": version,
            "body": _packed(body),
            "state": EventState.PENDING,
        }
        table = tables.events
        key = (table.c.project == project) & (table.c.annotation == annotation)
        with self._database.writing() as connection:
            known = connection.execute(
                sa.select(table.c.id).where(key, table.c.version == version)
            ).first()
            if known is None:
                connection.execute(sa.insert(table).values(**row))
        return int(known is None)

    def _next_pending(self, last: int) -> Event | None:
        found = tables.events
        query = (
            sa.select(found)
            .where(found.c.state.in_((EventState.PENDING, EventState.CONFIRMED)))
            .where(found.c.id > last)
            .order_by(found.c.id)
        )
        with self._database.reading() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else _event(row)


def version_of(annotation: Mapping[str, Any]) -> str:
    """Return which state of an annotation it is: the time of its last change, in UTC.

    Raises:
        LabelerError: the annotation is not what Label Studio sends.
    """
    version = annotation.get("updated_at")
    if not isinstance(version, str):
        raise LabelerError("The annotation has no updated_at; send it as Label Studio does.")
    return _instant(version).isoformat()


def _event(row: sa.Row[Any]) -> Event:
    fields = {key: row._mapping[key] for key in Event.__dataclass_fields__}
    fields["state"] = EventState(fields["state"])
    try:
        fields["body"] = json.loads(zlib.decompress(fields["body"]))
    except (zlib.error, ValueError, RecursionError):  # damaged; refused when it is taken up
        fields["body"] = {}
    return Event(**fields)


def _packed(body: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1)


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise LabelerError(f"{text[:40]!r} is not a time; send it as Label Studio does.") from None


def _dict(payload: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = payload.get(key)
    if not isinstance(found, dict):
        raise LabelerError(f"The event has no {key}; send it as Label Studio does.")
    return found


def _integer(payload: Mapping[str, Any], key: str) -> int:
    found = payload.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 1 << 53:
        raise LabelerError(f"The event's {key} is not a number; send it as Label Studio does.")
    return found
