"""What the service answers, asked over HTTP as Label Studio does."""

import hmac
import io
import subprocess
import sys
import threading
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import backend.service.plugin
from backend.credentials import SECRET_HEADER
from backend.service.server import MAX_REQUEST_BYTES
from backend.store.facts import MODEL_VERSION, WORKER_ALIVE
from backend.store.jobs import Job, JobKind
from backend.studio.annotation import from_result
from labeler.workspace.workspace import Workspace
from tests.backend.callers import HOOK, SECRETS, basic, predict
from tests.backend.webhooks import deletion, submission, task
from tests.workspaces import SIZE, make_clip, square

ROOT = Path(__file__).parents[3]


def waiting(service, kind):
    return [job for job in service.queue.waiting() if job.kind is kind]


# Who may


def routes(app):
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<int:number>", "1")
        path = path.replace("<any(confirm, dismiss):decision>", "confirm")
        path = path.replace("<any('clip.css', 'clip.js'):file>", "clip.js")
        path = path.replace("<clip_name>", "nobodys").replace("<int:frame>", "5")
        path = path.replace("<version>", "none").replace("<name>", "none")
        assert "<" not in path
        for method in rule.methods:
            yield method, path


def test_no_route_answers_strangers(app, client, service, half_done):
    stranger = [
        {},
        basic(password="another"),
        basic(user="another"),
        basic(user="", password=""),
        basic(user="mvps:the", password="password"),
        {"Authorization": "Basic bm9uc2Vuc2U="},
        {"Authorization": "Basic \xff"},
        {"Authorization": f"Bearer {SECRETS.password}"},
        {"Authorization": SECRETS.webhook_secret},
        {SECRET_HEADER: SECRETS.webhook_secret + "x"},
        {SECRET_HEADER: ""},
    ]
    asked = list(routes(app))
    assert {path for _, path in asked} >= {"/", "/health", "/predict", "/webhook", "/metrics"}
    for (method, path), headers in product([*asked, ("GET", "/nowhere")], stranger):
        answer = client.open(path, method=method, headers=headers, json={"tasks": [task()]})
        assert answer.status_code == 401, (method, path, headers)
        assert "walk" not in answer.text
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert service.queue.waiting() == []


def test_every_route_answers_who_shows_the_right_thing(app, client, half_done):
    for method, path in routes(app):
        headers = HOOK if path == "/webhook" else basic()
        answer = client.open(path, method=method, headers=headers, json={})
        assert answer.status_code in (200, 303, 400, 404), (method, path)
    assert client.get("/nowhere", headers=basic()).status_code == 404


def test_the_webhooks_secret_opens_nothing_else(app, client, half_done):
    for method, path in routes(app):
        wrong = basic() if path == "/webhook" else HOOK
        assert client.open(path, method=method, headers=wrong).status_code == 401, path


def test_secrets_are_compared_in_constant_time(client, monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *pair: compared.append(pair) or real(*pair))
    client.get("/health", headers=basic("wrong", "wrong too"))
    assert compared == [(b"wrong", b"mvps"), (b"wrong too", b"the-password")]
    client.post("/webhook", headers={SECRET_HEADER: "wrong"})
    assert compared[2:] == [(b"wrong", b"the-webhook-secret")]


WHO_MAY = {
    "/": "reads",
    "/health": "reads",
    "/metrics": "reads",
    "/predict": "Label Studio",
    "/setup": "Label Studio",
    "/webhook": "webhook",
    "/events/<int:number>/<any(confirm, dismiss):decision>": "form",
    "/conflicts/<clip_name>/<int:frame>.jpg": "reads",
    "/conflicts/<clip_name>/<int:frame>": "form",
    "/models/<version>/promote": "form",
    "/models/rollback": "form",
    "/retraining/start": "form",
    "/retraining/stop": "form",
    "/retraining/<name>/report": "reads",
    "/annotators": "reads",
    "/annotators.csv": "reads",
    "/clips/<clip_name>": "link",
    "/clips/<clip_name>/<any('clip.css', 'clip.js'):file>": "link",
    "/clips/<clip_name>/frames/<int:frame>.jpg": "link",
    "/clips/<clip_name>/masks/<int:frame>/<int:number>.png": "link",
}
"""Every route with who may call it, as docs/security.md lists them."""


def test_every_route_is_listed_with_who_may_call_it(app):
    listed = (ROOT / "docs" / "security.md").read_text()
    for rule in app.url_map.iter_rules():
        assert rule.rule in WHO_MAY, f"say in docs/security.md and here who may call {rule.rule}"
        methods = rule.methods - {"HEAD", "OPTIONS"}
        assert methods == (
            {"GET"} if WHO_MAY[rule.rule] in ("reads", "link") or rule.rule == "/" else methods
        )
        if WHO_MAY[rule.rule] == "form":
            assert methods == {"POST"}
        assert f"`{rule.rule}`" in listed


@pytest.mark.parametrize("route", [rule for rule, who in WHO_MAY.items() if who == "form"])
@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://localhost:1"])
def test_only_a_form_of_our_own_page_changes_something(app, client, half_done, route, origin):
    adapter = app.url_map.bind("localhost")
    names = {"number": 1, "decision": "confirm", "clip_name": "walk", "frame": 5}
    names |= {"version": "none", "name": "none"}
    [rule] = [each for each in app.url_map.iter_rules() if each.rule == route]
    path = adapter.build(rule.endpoint, {each: names[each] for each in rule.arguments}, "POST")
    headers = {"Authorization": basic()["Authorization"]}
    headers |= {} if origin is None else {"Origin": origin}
    assert client.post(path, headers=headers).status_code == 403


def test_every_answer_keeps_other_pages_out(client, half_done):
    for path, headers in (("/", basic()), ("/", {}), ("/nowhere", basic()), ("/metrics", basic())):
        said = client.get(path, headers=headers).headers
        assert said["X-Frame-Options"] == "DENY"
        assert said["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in said["Content-Security-Policy"]
        assert "script-src" not in said["Content-Security-Policy"]
        assert "default-src 'none'" in said["Content-Security-Policy"]


# What is no request


@pytest.mark.parametrize("path", ["/predict", "/webhook"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'"text"',
        b"null",
        b'{"tasks": [',
        b"\xff\xfe",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"action": "ANNOTATION_CREATED", "tasks": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
        b'{"tasks": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(client, path, body):
    headers = HOOK if path == "/webhook" else basic()
    answer = client.post(path, data=body, headers=headers, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"]


def test_json_that_does_not_say_that_it_is_json_is_refused(client):
    assert client.post("/webhook", data=b"{}", headers=HOOK).status_code == 400


@pytest.mark.parametrize("payload", [{}, {"tasks": None}, {"tasks": {"0": task()}}, {"tasks": 5}])
def test_a_request_without_tasks_is_refused(ask, payload):
    assert "no list of tasks" in ask("/predict", payload, expect=400)["error"]


@pytest.mark.parametrize("path", ["/predict", "/webhook"])
def test_a_body_that_is_too_large_is_refused_unread(client, path):
    class Unreadable(io.BytesIO):
        def read(self, *_):
            raise AssertionError("it was read")

    answer = client.post(
        path,
        input_stream=Unreadable(),
        headers=HOOK if path == "/webhook" else basic(),
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(MAX_REQUEST_BYTES + 1)},
    )
    assert answer.status_code == 413


def test_the_wrong_method_is_refused(client):
    assert client.get("/predict", headers=basic()).status_code == 405
    assert client.post("/", headers=basic()).status_code == 405


# Label Studio asks


def test_health_and_setup(ask, client, service):
    assert client.get("/health", headers=basic()).json == {
        "status": "UP",
        "model_class": "PortraitLabeler",
    }
    said = {"project": "1.1700000000", "schema": "<View/>", "access_token": "theirs"}
    assert ask("/setup", said) == {"model_version": "none (live)"}
    service.facts.tell(MODEL_VERSION, "net-1.0.0+1")
    assert ask("/setup", said) == {"model_version": "net-1.0.0+1 (live)"}  # no prediction has it


def test_predictions_come_in_the_order_of_the_tasks(ask, half_done, service):
    service.facts.tell(MODEL_VERSION, "net-2.0.0+2")
    assert ask("/predict", {"tasks": []})["results"] == []
    frames = [15, 0, 5, 5, 15, 0]
    answer = ask("/predict", {"tasks": [task(frame=frame) for frame in frames]})
    assert answer["model_version"] == "net-2.0.0+2"
    for frame, result in zip(frames, answer["results"], strict=True):
        assert np.array_equal(from_result(result["result"], *SIZE).mask, square(frame))
        by_a_person = frame == 15
        assert result["model_version"] == ("net-2.0.0+2" if by_a_person else "net-1.0.0+1")
        assert result["score"] == (1 if by_a_person else 0.75)
    (only,) = ask("/predict", {"tasks": [task(frame=5)], "params": {"context": None}})["results"]
    assert only == answer["results"][2]


def test_many_tasks_are_answered_in_one_go(ask, half_done):
    answer = ask("/predict", {"tasks": [task(frame=5 * (number % 2)) for number in range(200)]})
    regions = [result["result"][0]["id"] for result in answer["results"]]
    assert regions == ["walk-0-1", "walk-5-1"] * 100


def test_tasks_that_are_none_of_ours_get_an_empty_answer_at_once(ask, half_done, service):
    foreign = [
        {"id": 1, "data": {"image": "s3://bucket/a.jpg"}},
        {"id": 2, "data": None},
        {"id": 3},
        task(clip="run"),
        task(frame=3),
        task(frame=100),
        task(frame="5"),
        task(frame=5.0),
        task(frame=True),
        task(frame=False),
        task(frame=None),
        "5",
        None,
        [],
    ]
    began = time.monotonic()
    answer = ask("/predict", {"tasks": [*foreign, task(frame=5)]})["results"]
    assert time.monotonic() - began < 5
    assert answer[:-1] == [{"result": [], "score": 0.0, "model_version": "none"}] * len(foreign)
    assert answer[-1]["result"]
    assert service.queue.waiting() == []


def test_a_mask_whose_file_is_damaged_is_answered_empty(ask, half_done, workspace):
    workspace.mask_path(workspace.current(half_done)[5]).write_bytes(b"damaged")
    first, second = ask("/predict", {"tasks": [task(frame=5), task(frame=0)]})["results"]
    assert (first["result"], first["score"]) == ([], 0.0)
    assert second["result"]


opened: list[str] = []
watching = False


def watch(event, arguments):
    if watching and event in ("open", "socket.connect", "socket.getaddrinfo", "os.listdir"):
        opened.append(str(arguments[0] if event != "socket.connect" else arguments))


sys.addaudithook(watch)


@pytest.mark.parametrize(
    "evil",
    [
        "../../../../etc/passwd",
        "/etc/passwd",
        "walk/../walk",
        "walk/frames",
        "C:\\x",
        "http://localhost:1/x.jpg",
        "file:///etc/passwd",
        "\\\\host\\share",
        "walk\0",
        ".",
        "",
    ],
)
def test_no_task_can_name_a_file_or_an_address(ask, half_done, workspace, evil):
    global watching
    picture = {"image": evil, "previous": evil, "next": evil, "url": evil}
    tasks = [
        {"id": 1, "data": {"clip": evil, "frame": 5} | picture},
        {"id": 2, "data": {"clip": "walk", "frame": evil} | picture},
        {"id": 3, "data": {"clip": "walk", "frame": 5} | picture, "storage_filename": evil},
    ]
    opened.clear()
    watching = True
    try:
        first, second, ours = ask("/predict", {"tasks": tasks, "label_config": evil})["results"]
    finally:
        watching = False
    assert first["result"] == second["result"] == []
    assert ours["result"]
    assert opened == [str(workspace.mask_path(workspace.current(half_done)[5]))]


def test_a_frame_without_a_mask_is_asked_for_and_waited_for(ask, half_done, service):
    def mask_it():
        deadline = time.monotonic() + 60
        while not (wanted := waiting(service, JobKind.MASK)) and time.monotonic() < deadline:
            time.sleep(0.01)
        for job in wanted:
            predict(workspace, half_done, job.frame)

    service.facts.tell(WORKER_ALIVE, "")
    workspace = Workspace(service.workspace.root)
    worker = threading.Thread(target=mask_it)
    worker.start()
    began = time.monotonic()
    answer = ask("/predict", {"tasks": [task(frame=frame) for frame in (10, 5, 10)]})["results"]
    assert time.monotonic() - began < 60
    worker.join()
    workspace.close()
    assert waiting(service, JobKind.MASK) == [Job(JobKind.MASK, "walk", 10)]
    for frame, result in zip((10, 5, 10), answer, strict=True):
        assert np.array_equal(from_result(result["result"], *SIZE).mask, square(frame))


def test_patience_ends_before_label_studio_gives_up(ask, half_done, service, monkeypatch):
    assert backend.service.plugin.PATIENCE < 100
    monkeypatch.setattr(backend.service.plugin, "PATIENCE", 0.2)
    service.facts.tell(WORKER_ALIVE, "")
    make_clip(service.workspace, "run")
    tasks = [task("run", 15), task(frame=10), task(frame=5), task("run", 0)]
    answer = ask("/predict", {"tasks": tasks})["results"]
    assert [bool(result["result"]) for result in answer] == [False, False, True, False]
    assert {(job.clip, job.frame) for job in waiting(service, JobKind.MASK)} == {
        ("run", 15),
        ("run", 0),
        ("walk", 10),
    }


def test_nobody_waits_for_a_worker_that_is_not_there(ask, half_done, service):
    began = time.monotonic()
    (answer,) = ask("/predict", {"tasks": [task(frame=10)]})["results"]
    assert time.monotonic() - began < 10 < backend.service.plugin.PATIENCE
    assert answer["result"] == []
    assert waiting(service, JobKind.MASK) == [Job(JobKind.MASK, "walk", 10)]  # for when one comes


# Label Studio tells


def test_a_webhook_is_kept_and_the_worker_woken(ask, half_done, service):
    payload = submission(square(2), frame=10)
    assert ask("/webhook", payload) == {"events": 1}
    (event,) = service.inbox.pending()
    assert event.body["annotation"] == payload["annotation"]
    assert service.queue.waiting() == [Job(JobKind.TAKE)]
    assert ask("/webhook", payload) == {"events": 0}
    assert service.queue.waiting() == [Job(JobKind.TAKE)]
    assert ask("/webhook", deletion(7, 8)) == {"events": 2}
    assert len(list(service.inbox.pending())) == 3
    assert 10 not in service.workspace.current(half_done)  # that is for the worker


@pytest.mark.parametrize(
    "payload",
    [{}, {"action": "PROJECT_UPDATED"}, {"action": "TASKS_CREATED", "tasks": [1]}, {"event": "x"}],
)
def test_events_that_nobody_waits_for_are_let_pass(ask, service, payload):
    assert ask("/webhook", payload) == {"events": 0}
    assert service.queue.waiting() == []


def test_a_webhook_that_label_studio_never_sends_is_refused(ask, service):
    broken = submission(square(1)) | {"annotation": None}
    assert "no annotation" in ask("/webhook", broken, expect=400)["error"]
    assert service.queue.waiting() == []


# What it stands on

STARTED = """
import sys
from pathlib import Path
from backend.credentials import credentials
from backend.service.plugin import Service
from backend.service.server import create_app
from backend.settings import Settings

settings = Settings(workspace=Path(sys.argv[1]))
client = create_app(Service.opened(settings), credentials(settings)).test_client()
secrets = credentials(settings)
auth = (secrets.user, secrets.password)
for path in ("/", "/health", "/metrics"):
    assert client.get(path, auth=auth).status_code == 200, path
assert client.post("/predict", auth=auth, json={"tasks": [{}]}).status_code == 200
print({"torch", "label_studio_sdk", "httpx", "scipy", "av"} & set(sys.modules))
"""


def test_the_service_loads_neither_torch_nor_the_sdk(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", STARTED, str(tmp_path / "workspace")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "set()\n"
