"""A message of the webhook is a hint only: what it tells of is read from Label Studio.

Every annotator of Label Studio can read the webhook's secret, and so could send anything.
"""

from datetime import datetime, timedelta
from typing import Any, Protocol

from backend.store.inbox import DELETED, FETCHED, Event, EventState, Inbox, version_of
from labeler.errors import LabelerError

SAVING = timedelta(seconds=30)
"""For so long after a message Label Studio may not yet show what it told of."""

AHEAD = timedelta(minutes=10)
"""A submission that is this far in the future of its arrival has a wrong time."""


class NotYetError(LabelerError):
    """Label Studio does not show yet what it told of; the event waits."""


class Annotations(Protocol):
    """Where annotations are read: Label Studio."""

    def annotation(self, number: int) -> dict[str, Any] | None:
        """Return an annotation; None if there is none of that number."""

    def task_data(self, number: int) -> dict[str, Any]:
        """Return the data of a task."""


def verified(event: Event, inbox: Inbox, source: Annotations, now: datetime) -> Event | None:
    """Return an event with what Label Studio itself says of its annotation.

    Returns:
        The event, or None if there is nothing to do any more; the event is settled then.

    Raises:
        NotYetError: Label Studio does not show it yet.
        LabelerError: Label Studio has no such annotation.
        StudioAwayError: Label Studio does not answer.
    """
    if event.action == FETCHED:
        return event  # it was read there
    found = source.annotation(event.annotation)
    young = now - event.received < SAVING
    if event.action == DELETED:
        if found is None:
            return event
        if young:
            raise NotYetError(f"Label Studio still has annotation {event.annotation}.")
        inbox.settle(event, EventState.DISMISSED, "Label Studio still has the annotation")
        return None
    if found is None:
        if inbox.is_deleted(event):
            inbox.settle(event, EventState.DISMISSED, "deleted before it was taken up")
            return None
        if young:
            raise NotYetError(f"Label Studio does not show annotation {event.annotation} yet.")
        raise LabelerError(
            f"Label Studio has no annotation {event.annotation}; if somebody made it, submit the "
            "frame again."
        )
    if young and version_of(found) < event.version:
        raise NotYetError(f"Label Studio shows an earlier state of annotation {event.annotation}.")
    return inbox.believe(event, found, source.task_data(int(found["task"])))


def time_of(event: Event) -> datetime:
    """Return when the annotation was submitted; one in the future was submitted at its arrival."""
    said = datetime.fromisoformat(event.version)
    return event.received if said > event.received + AHEAD else said
