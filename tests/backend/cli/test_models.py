"""Weights by command and on the status page; retraining asked for, started and stopped."""

import json
from datetime import UTC, datetime

import pytest
import torch

from backend.settings import Settings
from backend.store.jobs import Job, JobKind
from backend.work.training_runs import Phase, Retrainer, Retraining, RetrainingState, only_one
from backend.work.worker import Champion
from labeler.errors import LabelerError
from labeler.publish.snapshot import Snapshot
from model.card import ModelCard
from model.registry import ModelRegistry
from model.weights import save_model
from tests.backend.callers import basic
from tests.backend.terminal import Terminal


@pytest.fixture
def registry(workspace):
    found = ModelRegistry(workspace.root / "models")
    for number in (1, 2):
        folder = workspace.root / f"made{number}"
        save_model(
            folder,
            {"w": torch.tensor([float(number)])},
            ModelCard(
                *("pdnet", "pdnet-small", ["made"], "none"),
                scores={"locked clips: J&F": 0.5 + number / 10},
            ),
            f"{number}.0.0",
        )
        found.keep(folder)
    return found


def mvps(root, *arguments, fails=0):
    """What a command prints: to stdout, or, where it fails, to stderr, on one line."""
    out, err = Terminal(root).run(*arguments, expect=fails)
    return " ".join((err if fails else out).split())


def versions(registry):
    return [card.model_version for card in registry.cards()]


def a_run(workspace, stage, **more):
    run = Retraining(workspace.root / "retraining" / "2026-01-02T03-04-05")
    run.folder.mkdir(parents=True)
    Snapshot((), (), (), ()).write(run.folder / "snapshot.json")
    run.write(RetrainingState(stage, datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "old", **more))
    return run


@pytest.mark.slow
def test_models_by_command(workspace, registry, service):
    one, two = versions(registry)
    root = workspace.root
    assert "not judged" not in mvps(root, "models", "list")
    assert "is the champion" in mvps(root, "models", "promote", "pdnet-small-1")
    assert "is the champion" in mvps(root, "models", "promote", two, "--reason", "by eye")
    assert registry.champion == two
    assert Job(JobKind.RECONCILE) in service.queue.waiting()  # the worker takes it up
    listed = json.loads(mvps(root, "models", "list", "--json"))
    assert listed["champion"] == two
    assert [each["model_version"] for each in listed["models"]] == [one, two]
    shown = json.loads(mvps(root, "models", "show", two))
    assert [step["reason"] for step in shown["champion"]] == ["by eye"]
    assert f"{one} is the champion again." in mvps(root, "models", "rollback")
    assert registry.champion == one
    folder = root / "made2"
    assert f"{two} is the champion." in mvps(root, "models", "promote", folder)  # or a folder
    assert f"{one} is the champion again." in mvps(root, "models", "rollback")
    assert "There is no champion before" in mvps(root, "models", "rollback", fails=1)
    assert "There is no model '7'" in mvps(root, "models", "promote", "7", fails=1)


@pytest.mark.slow
def test_training_by_command_needs_data_or_the_workspace(workspace):
    assert "--portraits" in mvps(workspace.root, "train", fails=2)
    said = mvps(workspace.root, "train", "--from-workspace", "--portraits", "x", fails=1)
    assert "MVPS_TRAIN_ON" in said
    said = mvps(workspace.root, "train", "--from-workspace", fails=1)
    assert "is accepted yet" in said


def test_models_on_the_status_page(client, workspace, registry, service):
    one, two = versions(registry)
    page = client.get("/", headers=basic()).text
    assert "The network was not retrained yet." in page
    assert "Retrain now" in page
    assert page.count("<button>Promote</button>") == 2

    def post(path, expect=303, **headers):
        assert client.post(path, headers=basic() | headers).status_code == expect

    post(f"/models/{one}/promote")
    post(f"/models/{two}/promote")
    assert registry.champion == two
    page = client.get("/", headers=basic()).text
    assert page.count("<button>Promote</button>") == 1
    assert "Roll back" in page
    assert "70.0" in page
    post("/models/rollback", expect=403, Origin="http://elsewhere")
    assert registry.champion == two
    post("/models/rollback")
    assert registry.champion == one
    post("/models/rollback", expect=400)
    post("/models/..%2F..%2Fetc/promote", expect=404)
    post("/models/none/promote", expect=400)
    post("/retraining/start")
    assert service.queue.waiting() == [Job(JobKind.TRAIN), *[Job(JobKind.RECONCILE)] * 3]


def test_a_retraining_on_the_status_page(client, workspace):
    run = a_run(workspace, Phase.TRAINING, done=30, total=200, seconds_left=120.0)
    with only_one(workspace.root):
        page = client.get("/", headers=basic()).text
    assert "training, 30 of 200, 2 min left" in page
    assert "Retrain now" not in page
    assert not run.is_to_stop
    assert client.post("/retraining/stop", headers=basic()).status_code == 303
    assert run.is_to_stop
    run.tell(stage=Phase.KEPT, sentence="Not promoted: <b>why</b>.")
    page = client.get("/", headers=basic()).text
    assert "Not promoted: &lt;b&gt;why&lt;/b&gt;." in page
    assert "Report" not in page
    run.report.write_text("<h1>the report</h1>")
    assert f'href="/retraining/{run.name}/report"' in client.get("/", headers=basic()).text
    got = client.get(f"/retraining/{run.name}/report", headers=basic())
    assert got.text == "<h1>the report</h1>"
    assert client.get("/retraining/other/report", headers=basic()).status_code == 404
    assert client.get(f"/retraining/{run.name}/report").status_code == 401


def test_start_training_in_label_studio_asks_for_one(client, service):
    """Label Studio sends it with the backend's user and password, and without the secret."""
    said = {"action": "START_TRAINING", "project": {"id": 1}}
    assert client.post("/webhook", json=said).status_code == 401
    assert client.post("/webhook", json=said, headers=basic()).status_code == 200
    other = {"action": "ANNOTATION_CREATED"}  # all else must show the secret
    assert client.post("/webhook", json=other, headers=basic()).status_code == 401
    assert service.queue.waiting() == [Job(JobKind.TRAIN)]


def test_the_champion_is_loaded_when_it_changes(workspace, registry):
    one, two = versions(registry)
    loaded = []

    class Engine:
        def __init__(self, name):
            self.model_version = str(name)

    def load(name):
        loaded.append(name)
        if name == two:
            raise LabelerError("its weights are damaged")
        return Engine(name)

    champion = Champion(registry.folder, load)
    assert champion().model_version == "None"  # there is none yet: the bundled weights
    registry.promote(one, "better")
    assert champion().model_version == one
    assert champion().model_version == one
    assert loaded == [None, one]
    registry.promote(two, "better still")
    assert champion().model_version == one  # work goes on
    named = Champion(registry.folder, load, "mine")
    assert named().model_version == "mine"


def test_a_worker_starts_one_process_at_a_time(workspace, monkeypatch):
    started = []

    class Process:
        def __init__(self, command, **kwargs):
            started.append(command)
            self.ended = None

        def poll(self):
            return self.ended

    monkeypatch.setattr("backend.work.training_runs.subprocess.Popen", Process)
    settings = Settings(workspace=workspace.root, retrain_masks=0, train_pauses=True)
    retrainer = Retrainer(workspace, settings)
    assert not retrainer.start_if_due()
    assert retrainer.start()
    assert not retrainer.start()
    assert started[0][-2:] == ["train", "--from-workspace"]
    retrainer._process.ended = 0
    assert not retrainer.pauses_masking
    with only_one(workspace.root):
        assert not retrainer.start()
        assert retrainer.pauses_masking
    a_run(workspace, Phase.TRAINING)  # a killed one goes on
    assert retrainer.start_if_due()
    assert len(started) == 2
