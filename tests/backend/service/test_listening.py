"""Submissions are answered at once, whatever other callers do."""

import json
import os
import socket
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from backend.service import listening as module
from backend.service.listening import listening
from backend.store.facts import WORKER_ALIVE
from tests.backend.callers import HOOK, basic
from tests.backend.webhooks import submission, task
from tests.workspaces import square


@pytest.fixture
def port(app):
    server = listening(app, "127.0.0.1", 0, threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server.effective_port
    server.close()
    server.task_dispatcher.shutdown()


def ask(port, path, payload, headers):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(payload).encode(),
        {"Content-Type": "application/json"} | headers,
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as answer:
        answer.read()
        assert answer.status == 200
    return time.perf_counter() - began


def half_open(stack, port, said=b"POST /webhook HTTP/1.1\r\n"):
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    connection.sendall(said)
    return connection


def p99(seconds):
    return sorted(seconds)[int(0.99 * len(seconds))]


def test_waiting_predictions_and_half_open_connections_hold_up_no_submission(
    port, half_done, service
):
    """8 predictions that wait, 200 connections that say half of a request, 100 submissions."""
    payloads = [submission(square(1), annotation=number) for number in range(1, 101)]
    service.facts.tell(WORKER_ALIVE, "x")
    with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        waiting = [
            pool.submit(ask, port, "/predict", {"tasks": [task("walk", 10)]}, basic())
            for _ in range(8)
        ]
        for _ in range(200):
            half_open(stack, port)
        took = [ask(port, "/webhook", payload, HOOK) for payload in payloads]
        still = sum(not each.done() for each in waiting)
        service.facts.tell(WORKER_ALIVE, "x")
        with service.workspace.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM facts")  # nobody waits for a dead worker
    assert len(service.inbox.counted()) == 1
    assert sum(service.inbox.counted().values()) == 100
    assert still > 0 or sum(took) > 25, "the predictions had ended before"
    quiet = (os.getloadavg()[0] or 0) < (os.cpu_count() or 1)
    assert p99(took) < (0.1 if quiet else 2.0)


def test_no_more_predictions_wait_than_there_are_places_for(port, half_done, service):
    service.facts.tell(WORKER_ALIVE, "x")
    with ThreadPoolExecutor(module.WAITING + 4) as pool:
        asked = {"tasks": [task("walk", 10)]}
        waiting = [pool.submit(ask, port, "/predict", asked, basic()) for _ in range(28)]
        deadline = time.monotonic() + 20
        while sum(each.done() for each in waiting) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        with service.workspace.database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM facts")
    assert sum(each.result() < 19 for each in waiting) >= 4


def test_silent_and_slow_connections_are_cut(port, monkeypatch):
    monkeypatch.setattr(module, "SILENT", 1)
    monkeypatch.setattr(module, "SLOWEST", 2)
    with ExitStack() as stack:
        silent = half_open(stack, port, b"")
        dripping = half_open(stack, port)
        silent.settimeout(30)
        dripping.settimeout(0.3)
        assert silent.recv(1) == b""

        def drip():
            for _ in range(300):
                dripping.sendall(b"X-A: b\r\n")
                time.sleep(0.1)

        with pytest.raises(OSError, match=r"reset|pipe|abort"):
            drip()
