"""What the status page shows."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from backend.service.models_page import network_of
from backend.service.plugin import NO_MODEL, Service
from backend.service.review_page import review_of
from backend.store.facts import MODEL_VERSION, STUDIO
from backend.store.inbox import EventState
from backend.store.jobs import JobLog
from labeler.inspect.overview import overview
from labeler.review.priority import next_frames

SHOWN_JOBS = 12
SHOWN_EVENTS = 50


def status_of(service: Service) -> dict[str, Any]:
    """Everything that the template needs; no secret is among it."""
    model = service.facts.get(MODEL_VERSION)
    studio = service.facts.get(STUDIO)
    return {
        "workspace": service.workspace.root.resolve().name,
        "model": NO_MODEL if model is None else model[0],
        "worker": service.facts.worker_alive,
        "studio": None if studio is None else studio[0],
        "clips": overview(service.workspace, judged=True),
        "next": next_frames(service.workspace),
        "review": review_of(service),
        "network": network_of(service),
        "waiting": Counter(job.kind.value for job in service.queue.waiting()),
        "jobs": JobLog(service.workspace.database).latest(SHOWN_JOBS),
        "asking": service.inbox.listed(EventState.ASKING, limit=SHOWN_EVENTS),
        "refused": service.inbox.listed(EventState.REFUSED, limit=SHOWN_EVENTS),
        "events": service.inbox.counted(),
        "now": datetime.now(UTC),
    }
