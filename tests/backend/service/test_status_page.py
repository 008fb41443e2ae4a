"""What people see and decide: the status page, the figures, the questions."""

import html
import json
import time

import numpy as np
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from backend.doctor import Health, examine
from backend.settings import Settings
from backend.store import tables
from backend.store.facts import MODEL_VERSION, STUDIO, WORKER_ALIVE
from backend.store.inbox import EventState
from backend.store.jobs import Job, JobKind, JobLog
from labeler.review.crosscheck import record_check
from labeler.revision import Draft, Shown
from labeler.workspace.troubles import Troubles
from tests.backend.callers import EMPTY, SECRETS, basic
from tests.backend.webhooks import submission
from tests.workspaces import square

# People look


def page(client):
    answer = client.get("/", headers=basic())
    assert answer.status_code == 200
    return answer.text


def test_the_status_page_shows_clips_questions_and_refusals(
    client, service, half_done, submissions
):
    assert "not running" in page(client)
    assert "not connected" in page(client)
    service.inbox.put(submission(EMPTY, annotation=1))
    service.inbox.put(submission(square(1), clip="<script>alert(1)</script>", annotation=2))
    submissions.take_all()
    service.facts.tell(WORKER_ALIVE, "")
    service.facts.tell(MODEL_VERSION, "net-3")
    service.facts.tell(STUDIO, "")
    service.queue.ask(Job(JobKind.PUBLISH, "walk"))
    log = JobLog(service.workspace.database)
    log.began("1", Job(JobKind.REFRESH, "walk"))
    log.ended("1", "the disk is full")
    log.began("2", Job(JobKind.MASK, "walk", 10))
    log.progress(3, 8)
    shown = page(client)
    assert '<td><a href="/clips/walk">walk</a></td>' in shown
    assert "2 predicted, 1 missing" in shown
    assert "128x96, landscape" in shown
    assert 'title="the short side is 96 pixels (at least 720)">short-side broken<' in shown
    assert "motion not judged yet" in shown
    (asking,) = service.inbox.listed(EventState.ASKING)
    assert f'action="/events/{asking.id}/confirm"' in shown
    assert f'action="/events/{asking.id}/dismiss"' in shown
    (refused,) = service.inbox.listed(EventState.REFUSED)
    assert html.escape(refused.note) in shown.replace("&#39;", "&#x27;")
    assert "<script" not in shown
    for said in ("at work", "net-3", "1 publish", "the disk is full", "running (3 of 8)"):
        assert said in shown
    service.facts.tell(STUDIO, "Label Studio does not answer")
    assert "Label Studio does not answer" in page(client)


def test_the_status_page_says_when_there_are_no_clips(client):
    assert "No clips yet" in page(client)


def test_what_is_listed_leads_to_its_task_and_to_its_clip(
    client, service, workspace, half_done, submissions
):
    service.inbox.put(submission(EMPTY, annotation=1))
    submissions.take_all()
    with workspace.database.writing() as connection:
        project = {"role": "labeling", "url": "http://studio", "project": 3}
        connection.execute(sa.insert(tables.projects).values(project))
        for frame in half_done.key_frames:
            row = {"project": 3, "clip": "walk", "frame": frame, "task": 70 + frame}
            connection.execute(sa.insert(tables.tasks).values(**row, fields={}, shown=0))
    shown = page(client)
    assert 'href="/clips/walk">walk</a>' in shown
    asked, following = shown.split("<h2>Fix these next</h2>")
    assert 'href="http://studio/projects/3/data?task=75" target="_blank"' in asked
    assert '?task=80" target="_blank" rel="noopener noreferrer">walk 10</a>' in following
    assert 'href="/annotators"' in shown


def test_annotators_are_a_page_and_a_table(client, workspace, half_done):
    def asked(path):
        return client.get(path, headers=basic())

    workspace.record(half_done, 5, square(9), Draft("<i>ann</i>", lead_time=41.0))
    record_check(workspace, half_done, 5, square(9), Draft("bob", look=Shown.CONFIRM))
    shown = asked("/annotators").text
    assert "<td>&lt;i&gt;ann&lt;/i&gt;</td><td>1</td><td>41 s</td><td>0 %</td><td>1</td>" in shown
    assert "<td>bob</td><td>0</td><td>&ndash;</td>" in shown
    table = asked("/annotators.csv")
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert table.text.splitlines()[1].startswith("<i>ann</i>,1,41.0,0,1,1,1.0,1.0,0,")


def test_the_page_of_annotators_says_when_there_are_none(client):
    assert "No person has masked" in client.get("/annotators", headers=basic()).text


def test_nothing_that_anybody_may_read_holds_a_secret(client, ask, half_done):
    ask("/setup", {"project": "1", "schema": "<View/>", "access_token": "studio-token"})
    ask("/webhook", submission(square(1)))
    answers = [client.get(path, headers=basic()).text for path in ("/", "/metrics", "/health")]
    answers += [client.get("/").text, json.dumps(ask("/webhook", {"action": "x"}))]
    for text in answers:
        for secret in (SECRETS.password, SECRETS.webhook_secret, "studio-token"):
            assert secret not in text


def test_the_figures_are_prometheus_text(client, service, half_done, submissions):
    def figures():
        answer = client.get("/metrics", headers=basic())
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    before = figures()
    assert before["mvps_predictions_total",] == 2
    assert before["mvps_key_frames", "predicted"] == 2
    assert before["mvps_key_frames", "corrected"] == before["mvps_references",] == 1
    assert before["mvps_queue_age_seconds",] == before["mvps_prelabel_iou_count",] == 0
    service.inbox.put(submission(square(5)))
    service.inbox.put(submission(EMPTY, annotation=8, frame=0))
    service.queue.ask(Job(JobKind.TAKE))
    service.queue.ask(Job(JobKind.PUBLISH, "walk"), delay=60)
    time.sleep(0.05)
    asked = figures()
    assert asked["mvps_events", "pending"] == 2
    assert 0.05 <= asked["mvps_queue_age_seconds",] < 60
    assert [asked["mvps_queue_depth", kind] for kind in ("take", "publish", "mask")] == [1, 1, 0]
    submissions.take_all()
    log = JobLog(service.workspace.database)
    log.began("1", Job(JobKind.TAKE))
    log.ended("1", "it failed")
    after = figures()
    assert [after["mvps_events", state] for state in ("pending", "done", "asking")] == [0, 1, 1]
    assert after["mvps_key_frames", "confirmed"] == 1
    assert after["mvps_references",] == 2
    assert after["mvps_prelabel_iou_count",] == after["mvps_prelabel_iou_sum",] == 1
    assert after["mvps_failed_jobs",] == 1


# People decide


@pytest.fixture
def asking(service, half_done, submissions):
    service.inbox.put(submission(EMPTY))
    submissions.take_all()
    (event,) = service.inbox.listed(EventState.ASKING)
    return event


@pytest.mark.parametrize(
    ("decision", "area"), [("confirm", 0), ("dismiss", np.count_nonzero(square(5)))]
)
def test_a_decision_is_taken_up(client, service, half_done, submissions, asking, decision, area):
    own = {"Origin": "http://localhost"}
    path = f"/events/{asking.id}/{decision}"
    answer = client.post(path, headers=basic() | own)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert service.queue.waiting() == [Job(JobKind.TAKE)]
    submissions.take_all()
    assert service.workspace.current(half_done)[5].area == area
    assert f"/events/{asking.id}/" not in page(client)
    assert client.post(path, headers=basic()).status_code == 303  # a second click
    submissions.take_all()
    assert service.workspace.current(half_done)[5].area == area


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://localhost.evil.example",
        "http://localhost:8080",
        "null",
        "",
        "localhost://evil.example",
        "ftp://localhost",
    ],
)
def test_no_other_page_can_decide(client, service, asking, origin):
    for decision in ("confirm", "dismiss"):
        path = f"/events/{asking.id}/{decision}"
        assert client.post(path, headers=basic() | {"Origin": origin}).status_code == 403
    assert service.inbox.get(asking.id).state is EventState.ASKING


def test_only_what_is_asked_can_be_decided(client, service, asking):
    assert client.post("/events/99/confirm", headers=basic()).status_code == 400
    assert client.post(f"/events/{asking.id}/delete", headers=basic()).status_code == 404
    assert client.get(f"/events/{asking.id}/confirm", headers=basic()).status_code == 405
    service.inbox.put(submission(square(1), annotation=9))
    (pending,) = service.inbox.pending()
    assert client.post(f"/events/{pending.id}/dismiss", headers=basic()).status_code == 303
    assert service.inbox.get(pending.id).state is EventState.PENDING


def test_a_trouble_is_told_by_page_figures_and_doctor_until_it_is_solved(
    client, service, tmp_path, half_done
):
    troubles = Troubles(service.workspace.database)
    troubles.tell("fetch", "task 7 <b>", "Label Studio answers HTTP 500", "open it there")
    assert "task 7 &lt;b&gt;" in page(client)
    figures = client.get("/metrics", headers=basic()).text
    assert 'mvps_troubles{work="fetch"} 1.0' in figures
    settings = Settings(workspace=service.workspace.root)
    [told] = [check for check in examine(settings) if check.name == "fetch"]
    assert told.state is Health.FAULT
    assert (told.found, told.fix) == ("task 7 <b>: Label Studio answers HTTP 500", "open it there")
    troubles.solved("fetch", "task 7 <b>")
    assert "task 7" not in page(client)
    assert "mvps_troubles{" not in client.get("/metrics", headers=basic()).text
    assert "fetch" not in {check.name for check in examine(settings)}
