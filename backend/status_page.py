"""What the status page shows."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.facts import MODEL_VERSION, STUDIO, WORKER_ALIVE
from backend.inbox import EventState
from backend.jobs import JobLog
from backend.plugin import NO_MODEL, Service
from labeler.overview import overview

ALIVE = timedelta(seconds=30)
"""A worker that has not been heard of for so long is taken for dead."""

SHOWN_JOBS = 12


def status_of(service: Service) -> dict[str, Any]:
    """Everything that the template needs; no secret is among it."""
    model = service.facts.get(MODEL_VERSION)
    heard = service.facts.get(WORKER_ALIVE)
    studio = service.facts.get(STUDIO)
    now = datetime.now(UTC)
    return {
        "workspace": service.workspace.root.resolve().name,
        "model": NO_MODEL if model is None else model[0],
        "worker": heard is not None and now - heard[1] < ALIVE,
        "studio": None if studio is None else studio[0],
        "clips": overview(service.workspace, judged=True),
        "waiting": Counter(job.kind.value for job in service.queue.waiting()),
        "jobs": JobLog(service.workspace.database).latest(SHOWN_JOBS),
        "asking": service.inbox.listed(EventState.ASKING),
        "refused": service.inbox.listed(EventState.REFUSED),
        "now": now,
    }
