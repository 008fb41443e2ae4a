import os
import shutil
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import huey.storage
import pytest
import redis

from backend.store.jobs import (
    FILED_UNDER,
    KEPT_JOBS,
    Job,
    JobKind,
    JobLog,
    JobQueue,
    QueueAwayError,
)
from labeler.errors import LabelerError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A real Redis on a port of its own."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed, and CI must have it")
        pytest.skip("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as server:
        client = redis.Redis(port=port)
        deadline = time.monotonic() + 30
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield client
        client.close()
        server.terminate()


@pytest.fixture(params=["a file", "redis"])
def url(request):
    """Where the queue is."""
    if request.param == "a file":
        return None
    client = request.getfixturevalue("redis_server")
    client.flushall()
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


@pytest.fixture
def queue(workspace, url):
    return JobQueue(workspace.root, url)


@pytest.fixture
def log(workspace):
    return JobLog(workspace.database)


@dataclass
class Done:
    kind: str
    clip: str
    frame: int
    attempt: int
    at: float


def worked_off(root, url=None):
    """What a real consumer does, in a process of its own, until it comes to the clip `end`."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.backend.consumer", str(root), *([url] if url else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = [line.split() for line in run.stdout.splitlines()]
    return [Done(kind, clip, int(f), int(a), float(at)) for kind, clip, f, a, at in lines]


def test_the_most_urgent_comes_first_and_an_error_stops_nothing(queue, url, log, workspace):
    wanted = [
        Job(JobKind.RECONCILE, "end"),
        Job(JobKind.PUBLISH, "walk", attempt=4),
        Job(JobKind.REFRESH, "walk"),
        Job(JobKind.REFRESH, "bad"),
        Job(JobKind.MASK, "told", 15),
        Job(JobKind.MASK, "walk", 20),
        Job(JobKind.TAKE, "parent"),
    ]
    for job in wanted:
        queue.ask(job)
    order = [wanted[i] for i in (6, 4, 5, 2, 3, 1, 0)]
    assert queue.waiting() == order
    done = worked_off(workspace.root, url)
    assert [(each.kind, each.clip) for each in done] == [
        ("take", "parent"),
        ("take", "child"),  # a submission overtakes whatever waits already
        ("mask", "told"),
        ("mask", "walk"),
        ("refresh", "walk"),
        ("refresh", "bad"),
        ("publish", "walk"),
        ("reconcile", "end"),
    ]
    assert [(each.frame, each.attempt) for each in done][2:7:4] == [(15, 0), (-1, 4)]
    assert set(queue.waiting()) <= {Job(JobKind.RECONCILE)}  # the clock's own

    kept = {(row.kind, row.clip): row for row in log.latest() if row.clip}
    assert len(kept) == 8
    states = {name: row.state for name, row in kept.items()}
    assert [name for name, state in states.items() if state == "failed"] == [
        ("refresh", "bad"),
        ("mask", "told"),
    ]
    assert "running" not in states.values()  # the last one, too, was finished before the end
    assert kept["mask", "told"].error == "The disk is full; make room."
    assert kept["refresh", "bad"].error.startswith("ZeroDivisionError: nobody foresaw this; see")
    assert kept["take", "parent"].error == ""
    assert log.failures() == 2
    assert all((row.done, row.total) == (3, 8) for row in kept.values())
    assert all(row.ended >= row.started for row in kept.values())


def test_what_is_delayed_waits_and_comes_not_before_its_time(queue, url, workspace):
    asked = time.time()
    queue.ask(Job(JobKind.RECONCILE, "end"), delay=1.5)
    queue.ask(Job(JobKind.PUBLISH, "walk", attempt=2), delay=0.5)
    queue.ask(Job(JobKind.REFRESH, "walk"))
    assert queue.waiting() == [
        Job(JobKind.REFRESH, "walk"),
        Job(JobKind.PUBLISH, "walk", attempt=2),
        Job(JobKind.RECONCILE, "end"),
    ]
    done = worked_off(workspace.root, url)
    assert [each.kind for each in done] == ["refresh", "publish", "reconcile"]
    _, later, last = done
    assert later.attempt == 2
    assert later.at >= asked + 0.5
    assert last.at >= asked + 1.5


def test_what_waits_is_kept_for_the_next_process_and_in_order(queue, url, workspace):
    assert queue.waiting() == []
    wanted = [Job(JobKind.REFRESH, f"clip{number}") for number in range(30)]
    for job in wanted:
        queue.ask(job)
    assert JobQueue(workspace.root, url).waiting() == wanted
    wanted = [Job(JobKind.MASK, "walk", 5 * number) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(JobQueue(workspace.root, url).ask, wanted))
    waiting = queue.waiting()
    assert len(waiting) == 70
    assert set(waiting[:40]) == set(wanted)


def test_what_the_clock_of_earlier_versions_left_in_the_queue_is_passed_over(queue, url, workspace):
    queue.ask(Job(JobKind.TAKE))
    clock = queue._huey._registry.string_to_task(f"{FILED_UNDER}.clock")
    queue._huey.enqueue(clock())
    assert JobQueue(workspace.root, url).waiting() == [Job(JobKind.TAKE)]


def test_every_kind_has_its_own_urgency(queue):
    for kind in reversed(JobKind):
        queue.ask(Job(kind))
    assert [job.kind for job in queue.waiting()] == [
        JobKind.TAKE,
        JobKind.MASK,
        JobKind.SHOW,
        JobKind.REFRESH,
        JobKind.PUBLISH,
        JobKind.TRAIN,
        JobKind.RECONCILE,
    ]


def test_the_log_tells_what_runs_and_what_came_of_it(log):
    log.began("1", Job(JobKind.REFRESH, "walk"))
    log.progress(2, 6)
    (running,) = log.latest()
    assert (running.kind, running.clip, running.state) == ("refresh", "walk", "running")
    assert (running.done, running.total, running.ended) == (2, 6, None)
    log.ended("1")
    log.progress(9, 9)  # nothing runs any more
    (done,) = log.latest()
    assert (done.state, done.error, done.done) == ("done", "", 2)
    log.began("1", Job(JobKind.REFRESH, "walk"))  # tried again under the same number
    log.ended("1", "it failed")
    log.began("2", Job(JobKind.TAKE))
    assert [(row.id, row.state) for row in log.latest()] == [("2", "running"), ("1", "failed")]
    assert [row.id for row in log.latest(1)] == ["2"]
    assert log.failures() == 1


def test_what_a_killed_worker_did_is_not_said_to_run(log, workspace):
    log.began("1", Job(JobKind.TAKE))
    log.ended("1")
    log.began("2", Job(JobKind.REFRESH, "walk"))
    JobLog(workspace.database).forget_running()
    after, before = log.latest()
    assert (after.state, after.error) == ("failed", "the worker ended")
    assert after.ended >= after.started
    assert before.state == "done"


def test_the_log_forgets_the_oldest(log, monkeypatch):
    assert KEPT_JOBS >= 100
    monkeypatch.setattr("backend.store.jobs.KEPT_JOBS", 5)
    log.began("running", Job(JobKind.REFRESH))
    for number in range(12):
        log.began(str(number), Job(JobKind.TAKE))
        log.ended(str(number))
    assert [row.id for row in log.latest(50)] == ["11", "10", "9", "8", "7", "6", "running"]


def test_a_redis_without_its_package_is_explained_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setattr(huey.storage, "Redis", None)
    with pytest.raises(LabelerError, match=r"mvps-labeler\[redis\]") as raised:
        JobQueue(tmp_path, "redis://:secret@queue")
    assert "secret" not in str(raised.value)


def test_jobs_that_an_older_version_left_are_still_jobs(workspace):
    """It filed them under another module."""
    queue = JobQueue(workspace.root)
    queue.ask(Job(JobKind.MASK, "hike", 40))
    (data,) = queue._huey.storage.enqueued_items()
    message = queue._huey.serializer.deserialize(data)
    assert message.name == "backend.jobs.job"
    assert JobQueue(workspace.root).waiting() == [Job(JobKind.MASK, "hike", 40)]


def test_two_workspaces_on_one_redis_take_no_jobs_of_each_other(redis_server, tmp_path):
    redis_server.flushall()
    url = f"redis://127.0.0.1:{redis_server.connection_pool.connection_kwargs['port']}/0"
    ours, theirs = (JobQueue(tmp_path / name, url) for name in ("ours", "theirs"))
    ours.ask(Job(JobKind.TAKE))
    assert theirs.waiting() == []
    moved = (tmp_path / "ours").rename(tmp_path / "moved")
    assert JobQueue(moved, url).waiting() == [Job(JobKind.TAKE)]


def test_a_redis_that_is_down_is_one_sentence(workspace, tmp_path):
    queue = JobQueue(workspace.root, "redis://127.0.0.1:9/0")
    with pytest.raises(QueueAwayError, match="Redis of MVPS_QUEUE_URL does not answer; start it"):
        queue.ask(Job(JobKind.TAKE))
    with pytest.raises(QueueAwayError, match="start it"):
        queue.waiting()


def test_a_damaged_file_of_the_queue_is_named(workspace):
    JobQueue(workspace.root).ask(Job(JobKind.TAKE))
    (workspace.root / "queue.db").write_bytes(b"no database" * 999)
    for leftover in workspace.root.glob("queue.db-*"):
        leftover.unlink()
    with pytest.raises(QueueAwayError, match=r"queue\.db cannot be used .* remove that file"):
        JobQueue(workspace.root).waiting()
