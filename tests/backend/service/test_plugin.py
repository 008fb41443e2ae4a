"""`PortraitLabeler` as others call it, and below the package that Label Studio publishes."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from backend.service.plugin import PortraitLabeler
from backend.store.facts import MODEL_VERSION, WORKER_ALIVE, Facts
from backend.store.inbox import Inbox
from backend.store.jobs import Job, JobKind, JobQueue
from backend.studio.annotation import from_result
from backend.studio.label_config import LABEL_CONFIG
from labeler.errors import LabelerError
from labeler.revision import Provenance
from tests.backend.at_work import work_off
from tests.backend.callers import predict
from tests.backend.webhooks import deletion, submission, task, update
from tests.backend.work.test_refresh import Scripted
from tests.signals import hear_signals
from tests.workspaces import SIZE, make_clip, square

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clip(workspace):
    clip = make_clip(workspace)
    for frame in clip.key_frames:
        workspace.record_prediction(
            clip, frame, square(frame), model_version="net-1", references="r", uncertainty=0.25
        )
    return clip


@pytest.fixture
def labeler(service):
    return PortraitLabeler(service=service)


@pytest.fixture
def at_work(service, submissions, make_worker):
    """A worker in a thread, whose network takes .3 s for a frame."""
    engine = Scripted(before=lambda frame: time.sleep(0.3))
    worker = make_worker(engine)
    ended = threading.Event()

    def run():
        while not ended.is_set():
            work_off(worker, service.queue, service.log)
            time.sleep(0.01)

    service.facts.tell(WORKER_ALIVE, "")
    thread = threading.Thread(target=run)
    thread.start()
    yield engine
    ended.set()
    thread.join()


def test_whoever_opens_a_frame_sees_what_a_submission_just_before_did_to_it(
    labeler, service, clip, at_work, workspace
):
    """The next frame opens at once after a submission: its mask is out of date by then."""
    labeler.fit(submission(square(7), annotation=9, frame=0))
    [found] = labeler.predict([task(frame=15)])
    now = workspace.current(clip)
    assert now[0].provenance is Provenance.CORRECTED
    assert now[15].references == workspace.references(clip).digest_for(15)
    assert np.array_equal(from_result(found["result"], *SIZE).mask, workspace.read(now[15]))
    assert at_work.asked.count(15) == 1
    assert len(at_work.asked) < len(clip.key_frames)  # it waited for no other frame


@pytest.mark.usefixtures("at_work")
def test_a_frame_that_nothing_changes_opens_at_once(labeler, service, clip):
    other = make_clip(service.workspace, "other")
    for frame in other.key_frames:
        predict(service.workspace, other, frame)
    service.queue.ask(Job(JobKind.REFRESH, other.name))
    while not service.log.running():
        time.sleep(0.01)
    began = time.monotonic()
    assert labeler.predict([task(frame=15)])[0]["score"] == 0.75
    assert time.monotonic() - began < 0.25
    assert service.log.running()  # the worker is busy with the other clip


def test_with_no_worker_a_frame_opens_with_the_mask_that_it_has(labeler, service, clip):
    labeler.fit(submission(square(7), annotation=9, frame=0))
    began = time.monotonic()
    assert labeler.predict([task(frame=15)])[0]["score"] == 0.75
    assert time.monotonic() - began < 1
    assert service.queue.waiting() == [Job(JobKind.TAKE)]


def without_action(payload):
    return {key: value for key, value in payload.items() if key != "action"}


def told(payload):
    """The ways in which `fit` is called: by our server, and by the package's two lines."""
    action, rest = payload["action"], without_action(payload)
    return {
        "ours": ((payload,), {}),
        "1.x": (((),), {"event": action, "data": rest, "job_id": "17", "workdir": "/tmp/17"}),
        "2.x": ((action, rest), {"additional": "x"}),
        "2.x by name": ((), {"event": action, "data": rest, "job_id": "17"}),
        "whole": ((action, payload), {}),
    }


@pytest.mark.parametrize("way", told(deletion(7)))
def test_fit_keeps_what_it_is_told_however_it_is_called(labeler, service, clip, way):
    for payload in (submission(square(1)), update(square(2), at=1), deletion(7)):
        arguments, named = told(payload)[way]
        assert labeler.fit(*arguments, **named) == {"events": 1}
    events = list(service.inbox.pending())
    assert [event.action for event in events] == [
        "ANNOTATION_CREATED",
        "ANNOTATION_UPDATED",
        "ANNOTATIONS_DELETED",
    ]
    assert events[1].body["annotation"] == update(square(2), at=1)["annotation"]
    assert service.queue.waiting() == [Job(JobKind.TAKE)] * 3
    arguments, named = told(submission(square(1)))[way]
    assert labeler.fit(*arguments, **named) == {"events": 0}  # known already
    assert len(service.queue.waiting()) == 3


@pytest.mark.parametrize("way", told(deletion(7)))
def test_fit_lets_pass_what_is_nobodys_mask(labeler, service, way):
    arguments, named = told({"action": "PROJECT_UPDATED", "project": {"id": 1}})[way]
    assert labeler.fit(*arguments, **named) == {"events": 0}
    assert service.queue.waiting() == []


def test_fit_without_an_event_does_nothing(labeler, service):
    assert labeler.fit() == labeler.fit(()) == labeler.fit([], workdir="/tmp") == {"events": 0}
    assert service.queue.waiting() == []


def test_start_training_is_asked_for_and_not_done_here(labeler, service):
    for _ in range(2):
        assert labeler.fit((), event="START_TRAINING", data={}) == {"events": 1}
    assert labeler.fit({"action": "START_TRAINING"}) == {"events": 1}
    assert {job.kind for job in service.queue.waiting()} == {"train"}


@pytest.mark.parametrize("way", told(deletion(7)))
def test_fit_refuses_what_label_studio_never_sends(labeler, service, way):
    arguments, named = told(submission(None) | {"task": None})[way]
    with pytest.raises(LabelerError, match="no task"):
        labeler.fit(*arguments, **named)
    assert service.queue.waiting() == []


def test_predict_answers_whatever_else_it_is_given(labeler, clip):
    tasks = [task(frame=10), task(clip="run"), task(frame=0)]
    answers = labeler.predict(tasks)
    assert labeler.predict(tasks, context=None) == answers
    assert labeler.predict(tasks, {"result": []}) == answers
    assert labeler.predict(tasks=tasks, login="", password="", context={}) == answers
    assert labeler.predict(tuple(tasks)) == answers
    assert [len(each["result"]) for each in answers] == [1, 0, 1]
    assert [each["model_version"] for each in answers] == ["net-1", "none", "net-1"]
    assert np.array_equal(from_result(answers[0]["result"], *SIZE).mask, square(10))
    json.dumps(answers)


def test_without_a_service_it_opens_the_workspace_of_the_environment(workspace, clip, monkeypatch):
    monkeypatch.setenv("MVPS_WORKSPACE", str(workspace.root))
    Facts(workspace.database).tell(MODEL_VERSION, "net-1")
    labeler = PortraitLabeler(label_config=LABEL_CONFIG, train_output=None)
    assert labeler.weights == "net-1"
    assert labeler.predict([task(frame=5)])[0]["result"]
    assert labeler.fit(submission(square(1))) == {"events": 1}
    assert len(list(Inbox(workspace.database).pending())) == 1


# Below label-studio-ml 1.0.9

PACKAGE = ("label-studio-ml==1.0.9", "redis", "rq", "colorama", "label-studio-tools", "appdirs")
"""What it imports; its own pins cannot be met beside the Flask of today."""

SERVER = """
import sys
from label_studio_ml.api import init_app
from backend.service.plugin import PortraitLabeler

if __name__ == "__main__":
    app = init_app(model_class=PortraitLabeler, model_dir=sys.argv[1])
    app.run(host="127.0.0.1", port=int(sys.argv[2]))
"""


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A folder with the published package."""
    folder = tmp_path_factory.mktemp("label-studio-ml")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, *PACKAGE],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the package index cannot be reached: {done.stderr.splitlines()[-1]}")
    return folder


@pytest.fixture
def published(package, workspace, tmp_path):
    """The package's own server around our class, as a process; asks it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "serve.py"
    script.write_text(SERVER)
    environment = os.environ | {
        "PYTHONPATH": f"{package}{os.pathsep}{ROOT}",
        "MVPS_WORKSPACE": str(workspace.root),
        "AUTO_UPDATE": "",
    }
    log = (tmp_path / "log").open("w+")
    server = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "models"), str(port)],
        env=environment,
        cwd=tmp_path,
        stdout=log,
        stderr=log,
        preexec_fn=hear_signals,
    )

    def ask(path, payload=None):
        data = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    try:
        wait_until(lambda: answers(ask) or server.poll() is not None)
        assert server.poll() is None, (tmp_path / "log").read_text()
        yield ask
    finally:
        server.terminate()
        server.wait()
        log.close()


def answers(ask):
    try:
        return ask("/health")["status"] == "UP"
    except urllib.error.URLError:
        return False


def wait_until(true):
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_the_published_package_serves_our_class(published, workspace, clip):
    set_up = {"project": "1.17", "schema": LABEL_CONFIG, "access_token": "t", "hostname": ""}
    assert published("/setup", set_up)["model_version"] == "INITIAL"
    request = {"tasks": [task(frame=10), task(clip="run"), task(frame=5)], "project": "1.17"}
    request |= {"label_config": LABEL_CONFIG, "params": {"login": None, "context": None}}
    first, foreign, last = published("/predict", request)["results"]
    assert np.array_equal(from_result(first["result"], *SIZE).mask, square(10))
    assert np.array_equal(from_result(last["result"], *SIZE).mask, square(5))
    assert foreign["result"] == []
    assert (first["score"], first["model_version"]) == (0.75, "net-1")

    inbox, queue = Inbox(workspace.database), JobQueue(workspace.root)
    payloads = [submission(square(1)), update(square(2), at=1), deletion(7)]
    for number, payload in enumerate(payloads, start=1):
        published("/webhook", payload)
        wait_until(lambda number=number: len(list(inbox.pending())) == number)
    assert [event.action for event in inbox.pending()] == [each["action"] for each in payloads]
    assert [event.annotation for event in inbox.pending()] == [7, 7, 7]
    wait_until(lambda: queue.waiting() == [Job(JobKind.TAKE)] * 3)
    assert published("/predict", request)["results"] == [first, foreign, last]


@pytest.mark.slow
def test_the_packages_own_command_starts_our_service(package, workspace, clip, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(package),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MVPS_WORKSPACE": str(workspace.root),
        "BASIC_AUTH_USER": "ann",
        "BASIC_AUTH_PASS": "pass",
    }
    start = "from label_studio_ml.server import main; main()"
    with (tmp_path / "log").open("w+") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", start, "start", "./backend", "-p", str(port)],
            env=environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            preexec_fn=hear_signals,
            start_new_session=True,  # the command starts a shell that starts the service
        )
        try:
            address = f"http://127.0.0.1:{port}/predict"
            shown = {"Authorization": f"Basic {base64.b64encode(b'ann:pass').decode()}"}
            shown["Content-Type"] = "application/json"
            body = json.dumps({"tasks": [task(frame=5)]}).encode()
            found = []

            def answered():
                assert server.poll() is None, (tmp_path / "log").read_text()
                request = urllib.request.Request(address, body, shown)
                try:
                    with urllib.request.urlopen(request, timeout=60) as answer:
                        found.extend(json.load(answer)["results"])
                except urllib.error.HTTPError:
                    raise  # it is up, and does not know us
                except urllib.error.URLError:
                    return False
                return True

            wait_until(answered)
            assert np.array_equal(from_result(found[0]["result"], *SIZE).mask, square(5))
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
