"""The network retrained on a workspace's masks, for real though small, judged, and promoted or not.

The champion of these workspaces is the bundled network made for tiny pictures, so that a training
takes seconds.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from backend.settings import Settings
from backend.work.retrain import retrain
from backend.work.training_runs import (
    FOLDER,
    STATE,
    Phase,
    Retraining,
    is_due,
    is_running,
    only_one,
    runs,
)
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace
from model.card import read_card
from model.loading import load_segmenter
from model.registry import ModelRegistry
from model.weights import load_model, save_model
from tests.accepted import accepted_clip
from tests.tiny import SIDE, tiny_champion, tiny_weights

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[3]


def small(workspace, **changes):
    """Settings under which everything is small."""
    fields = {
        "workspace": workspace.root,
        "device": "cpu",
        "train_steps": 12,
        "train_size": SIDE,
        "train_batch": 2,
        "train_rate": 1e-3,
        "judge_clips": 2,
    }
    return Settings(**(fields | changes))


def begin(workspace):
    """Six clips, two of them locked, and a champion for tiny pictures."""
    for seed in range(1, 7):
        accepted_clip(workspace, f"clip{seed}", seed)
    return tiny_champion(workspace)


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    """A workspace whose champion was retrained on right masks; with what was said."""
    workspace = Workspace(tmp_path_factory.mktemp("retrained") / "workspace")
    registry = begin(workspace)
    said, steps = [], []
    first = registry.champion
    state = retrain(workspace, small(workspace), said.append, lambda *done: steps.append(done))
    yield workspace, first, state, said, steps
    workspace.close()


def test_better_weights_become_the_champion(retrained):
    workspace, first, state, said, steps = retrained
    assert state.stage is Phase.PROMOTED, state.sentence
    registry = ModelRegistry(workspace.root / "models")
    assert registry.champion == state.candidate
    assert registry.champion.startswith("pdnet-small-0.2.1+")
    card = read_card(registry.path(state.candidate))
    (run,) = runs(workspace.root)
    assert card.parent == first
    assert card.snapshot == run.snapshot.digest
    assert card.verdict == state.sentence == said[-1]
    assert card.scores["locked clips: J&F"] > 0.5
    assert "snapshot" in card.training_data[-1]
    assert (12, 12) in steps
    assert "12 new and 0 known masks; 2 clips are locked" in said[0]
    page = run.report.read_text()
    assert state.sentence.split(" (")[0].replace("&", "&amp;") in page
    assert page.count("<img") >= 4
    assert not list(run.weights.glob("checkpoint*"))
    assert load_segmenter(None, models=workspace.root / "models")[1] == card


def test_neither_damaged_labels_nor_nothing_is_promoted(retrained):
    """After the first training: so there is something to lose."""
    workspace, _, state, _, _ = retrained
    registry = ModelRegistry(workspace.root / "models")
    said = []
    nothing = small(workspace, train_rate=1e-12, train_steps=2)
    none = retrain(workspace, nothing, said.append)
    assert none.stage is Phase.KEPT
    # Statistics of batches move a little all the same, either way.
    assert "beyond chance" in none.sentence or "is lower" in none.sentence
    assert "0 new and 12 known masks" in said[0]  # all were known to the champion

    # The split of the made clips sends these to training.
    for seed in range(20, 26):
        accepted_clip(workspace, f"wrong{seed}", seed, wrong=True)
    damaged = small(workspace, test_share=0.0, fresh_share=0.9, train_steps=15)
    worse = retrain(workspace, damaged, said.append)
    assert worse.stage is Phase.KEPT
    assert "J&F is lower" in worse.sentence
    assert registry.champion == state.candidate
    card = read_card(registry.path(worse.candidate))  # it is kept all the same, with its verdict
    assert card.verdict == worse.sentence
    assert card.parent == state.candidate
    assert card.scores["locked clips: J&F"] < 0.5


def test_any_weights_can_be_judged_by_command(retrained, tmp_path):
    """After the one above: the champion is the weights of the first training."""
    workspace, first, state, _, _ = retrained
    registry, report = ModelRegistry(workspace.root / "models"), tmp_path / "verdict.html"
    said = mvps(workspace, "models", "judge", first, "--out", report)
    assert "Not promoted: J&F is lower" in " ".join(said.split())
    assert state.candidate in report.read_text()
    assert registry.champion == state.candidate
    untrained = mvps(workspace, "models", "judge", "nowhere", fails=1)
    assert "no model 'nowhere'" in " ".join(untrained.split())


def mvps(workspace, *arguments, fails=0):
    command = [sys.executable, "-m", "backend", "-w", workspace.root, *arguments]
    environment = os.environ | {"MVPS_JUDGE_CLIPS": "2", "MVPS_DEVICE": "cpu"}
    done = subprocess.run(
        [str(each) for each in command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == fails, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def ready(workspace):
    return workspace, begin(workspace)


COMMAND = [sys.executable, "-m", "backend", "train", "--from-workspace"]


def process(workspace, **changes):
    """A retraining in a process of its own, as the worker starts it."""
    settings = small(workspace, **changes).model_dump()
    names = ["train_steps", "train_size", "train_batch", "train_rate", "judge_clips", "device"]
    environment = {f"MVPS_{name.upper()}": str(settings[name]) for name in names}
    environment |= {"MVPS_WORKSPACE": str(workspace.root)}
    return subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def state_of(workspace):
    last = next(iter(runs(workspace.root)), None)
    return None if last is None else last.state


def test_a_retraining_killed_twice_goes_on_and_there_is_never_a_second(ready):
    workspace, registry = ready
    first = registry.champion
    running = process(workspace, train_steps=40)
    wait_for(lambda: (state := state_of(workspace)) and state.done)
    running.send_signal(signal.SIGSTOP)  # lest it is through before the other has begun
    assert is_running(workspace.root)
    other = process(workspace)  # two triggers at once make one run
    said = other.communicate()[0]
    assert other.returncode == 1
    assert "is being retrained already" in said
    running.kill()
    running.communicate()
    assert state_of(workspace).stage is Phase.TRAINING
    assert not is_running(workspace.root)
    assert is_due(workspace, small(workspace, retrain_masks=0))  # to go on with it

    running = process(workspace, train_steps=40)
    wait_for(lambda: state_of(workspace).stage is Phase.JUDGING)
    running.kill()
    running.communicate()
    assert registry.champion == first

    running = process(workspace, train_steps=40)
    said = running.communicate()[0]
    assert running.returncode == 0, said
    (run,) = runs(workspace.root)
    assert run.state.stage is Phase.PROMOTED
    assert registry.champion == run.state.candidate
    assert not is_due(workspace, small(workspace, retrain_masks=1, retrain_hours=0))


def test_one_that_ends_without_a_word_is_given_up(ready):
    workspace, _ = ready
    for _ in range(3):
        before = state.attempts if (state := state_of(workspace)) else 0
        running = process(workspace, train_steps=40)
        wait_for(lambda before=before: (s := state_of(workspace)) and s.attempts > before)
        running.kill()
        running.communicate()
    with pytest.raises(LabelerError, match="ended 3 times without a message"):
        retrain(workspace, small(workspace), lambda _: None)
    assert state_of(workspace).stage is Phase.FAILED


def test_it_stops_when_asked_to(ready):
    workspace, registry = ready
    first = registry.champion

    def stop(done, total):
        if done == 3:
            runs(workspace.root)[0].stop()

    state = retrain(workspace, small(workspace), lambda _: None, stop)
    assert state.stage is Phase.STOPPED
    assert registry.champion == first
    assert not is_due(workspace, small(workspace, retrain_masks=0))


def test_a_device_without_memory_is_told_in_a_sentence(ready, monkeypatch):
    workspace, _ = ready

    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr("backend.work.retrain.train_further", full)
    with pytest.raises(LabelerError, match="MVPS_TRAIN_BATCH or MVPS_TRAIN_SIZE lower"):
        retrain(workspace, small(workspace), lambda _: None)
    assert state_of(workspace).stage is Phase.FAILED
    assert not is_running(workspace.root)


def test_other_data_never_brings_locked_clips_in(ready, tmp_path):
    """They are known by what they show; here an export of the whole workspace is rehearsed."""
    from labeler.publish.export import ListPlan, export_mvps

    workspace, _ = ready
    export_mvps(workspace, tmp_path / "dataset", lists=ListPlan(test_share=0.0))
    said = []
    settings = small(workspace, train_on=str(tmp_path / "dataset"), train_steps=1)
    retrain(workspace, settings, said.append)
    assert f"6 pictures of {tmp_path / 'dataset'} show locked test clips" in said[0]
    assert "12 new and 12 known masks" in said[1]


def test_a_promotion_meanwhile_is_not_undone(ready):
    workspace, registry = ready
    other = workspace.root / "other"
    card, tensors = load_model(registry.path(registry.champion))
    bias = next(name for name in tensors if name.endswith("bias"))
    tensors[bias] = tensors[bias] + 1
    save_model(other, tensors, card, "9.0.0")
    version = registry.keep(other).model_version

    def promote(done, total):
        registry.promote(version, "by hand")

    state = retrain(workspace, small(workspace), lambda _: None, promote)
    assert state.stage is Phase.KEPT
    assert state.sentence == f"Not promoted: {version} became the champion meanwhile."
    assert registry.champion == version


def test_why_one_cannot_begin_is_to_be_read_on_the_page(workspace):
    with pytest.raises(LabelerError, match="is accepted yet"):
        retrain(workspace, small(workspace), lambda _: None)
    assert state_of(workspace).stage is Phase.FAILED
    assert "is accepted yet" in state_of(workspace).sentence
    accepted_clip(workspace, "clip1", 1)
    with pytest.raises(LabelerError, match="'copy' has no weights that could be trained further"):
        retrain(workspace, small(workspace, model="copy"), lambda _: None)
    assert len(runs(workspace.root)) == 2
    assert not is_running(workspace.root)


def test_the_first_champion_is_what_masks_now(workspace, tmp_path):
    weights = tiny_weights(tmp_path / "mine")
    for seed in range(1, 6):
        accepted_clip(workspace, f"clip{seed}", seed)
    settings = small(workspace, model=str(weights), train_steps=1, judge_clips=9)
    state = retrain(workspace, settings, lambda _: None)
    assert state.champion == read_card(weights).model_version
    assert ModelRegistry(workspace.root / "models").champion == state.champion


def test_when_it_is_due(workspace):
    settings = small(workspace, retrain_masks=4, retrain_hours=1)
    accepted_clip(workspace, "clip1", 1)
    assert not is_due(workspace, settings)
    accepted_clip(workspace, "clip2", 2)
    assert is_due(workspace, settings)
    assert not is_due(workspace, small(workspace, retrain_masks=0))
    assert not is_due(workspace, small(workspace, retrain_masks=7))


def test_a_damaged_state_is_refused(workspace):
    folder = workspace.root / FOLDER / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / STATE).write_text("{}")
    with pytest.raises(LabelerError, match="cannot be read"):
        Retraining(folder).state  # noqa: B018


def test_the_lock_is_gone_with_its_process(workspace):
    with only_one(workspace.root):
        assert is_running(workspace.root)
    assert not is_running(workspace.root)
