"""The metrics of the service for Prometheus, read from the database at each request."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from backend.service.plugin import Service
from backend.store import tables
from backend.store.inbox import EventState
from backend.store.jobs import JobKind, JobLog, QueueAwayError
from labeler.inspect.overview import overview
from labeler.revision import Provenance
from labeler.workspace import tables as labeler_tables
from labeler.workspace.troubles import Troubles


def metrics_of(service: Service) -> bytes:
    """Return the metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(service))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        database = self._service.workspace.database
        revisions, events = labeler_tables.revisions, tables.events
        with database.reading() as connection:
            predictions = connection.execute(
                sa.select(sa.func.count()).where(revisions.c.provenance == Provenance.PREDICTED)
            ).scalar_one()
            states: Counter[EventState] = Counter()
            for state, count in connection.execute(
                sa.select(events.c.state, sa.func.count()).group_by(events.c.state)
            ):
                states[EventState(state)] = count
            oldest = connection.execute(
                sa.select(sa.func.min(events.c.received)).where(
                    events.c.state == EventState.PENDING
                )
            ).scalar_one()
            quality = connection.execute(
                sa.select(sa.func.count(events.c.prelabel_iou), sa.func.sum(events.c.prelabel_iou))
            ).one()
        masks: Counter[Provenance] = Counter()
        for clip in overview(self._service.workspace):
            masks.update(clip.masks)
        yield CounterMetricFamily("mvps_predictions", "Masks predicted.", predictions)
        depth = GaugeMetricFamily("mvps_queue_depth", "Jobs that wait.", labels=["kind"])
        with suppress(QueueAwayError):  # without a figure, an alert on its absence tells
            waiting = Counter(job.kind for job in self._service.queue.waiting())
            for kind in JobKind:
                depth.add_metric([kind.value], waiting[kind])
        yield depth
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest is not None else 0.0
        yield GaugeMetricFamily(
            "mvps_queue_age_seconds", "How long the oldest submission has been waiting.", age
        )
        failed = JobLog(database).failures()
        yield GaugeMetricFamily("mvps_failed_jobs", "Failed jobs, of those kept.", failed)
        kept = GaugeMetricFamily("mvps_events", "Events by state.", labels=["state"])
        for state in EventState:
            kept.add_metric([state.value], states[state])
        yield kept
        troubles = GaugeMetricFamily(
            "mvps_troubles", "Items that need somebody, by work.", labels=["work"]
        )
        for work, count in Counter(each.work for each in Troubles(database).listed()).items():
            troubles.add_metric([work], count)
        yield troubles
        key_frames = GaugeMetricFamily(
            "mvps_key_frames", "Key frames by provenance of the mask.", labels=["provenance"]
        )
        for provenance in Provenance:
            key_frames.add_metric([provenance.name.lower()], masks[provenance])
        yield key_frames
        references = sum(count for provenance, count in masks.items() if provenance.human)
        yield GaugeMetricFamily("mvps_references", "Frames a person masked.", references)
        yield SummaryMetricFamily(
            "mvps_prelabel_iou",
            "J between the prediction shown and the mask submitted.",
            count_value=quality[0],
            sum_value=quality[1] or 0.0,
        )
