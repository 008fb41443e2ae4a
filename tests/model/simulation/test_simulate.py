"""The whole circle on made clips, with the bundled network made for tiny pictures."""

import json

import pytest

from labeler.publish.snapshot import take_snapshot
from labeler.workspace.workspace import Workspace
from model.data.snapshot import held_out_takes, sources_of
from model.simulation import simulate as module
from model.simulation.report import write_simulation
from model.simulation.simulate import Experiment, Picking, simulate
from model.training.further import Budget
from tests.accepted import accepted_clip
from tests.tiny import SIDE, tiny_weights

pytestmark = pytest.mark.training

PICKINGS = [Picking.PRIORITY, Picking.RANDOM, Picking.IN_ORDER]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two clips to label and one to measure on, and weights for tiny pictures."""
    folder = tmp_path_factory.mktemp("simulated")
    workspace = Workspace(folder / "workspace")
    for seed in range(1, 4):
        accepted_clip(workspace, f"clip{seed}", seed)
    snapshot = take_snapshot(workspace, 0.34)
    weights = tiny_weights(folder / "weights")
    root = workspace.root
    yield sources_of(snapshot, root).fresh, held_out_takes(snapshot, root), weights
    workspace.close()


@pytest.fixture(scope="module")
def trials(clips):
    pool, aside, weights = clips
    seen, learnt = [], []
    further = module.train_further
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "train_further", lambda *a, **k: (learnt.append((a[0], k)), further(*a, **k))
        )
        found = simulate(
            pool,
            aside,
            Experiment(
                weights,
                rounds=2,
                frames=2,
                budget=Budget(steps=6, size=SIDE, batch_size=2, rate=1e-3),
            ),
            pickings=PICKINGS,
            seeds=[0],
            progress=lambda *done: seen.append(done),
        )
    assert seen[-1] == (12, 12)
    return found, learnt


def test_each_way_to_pick_is_tried_with_and_without_retraining(trials):
    found, _ = trials
    assert [(t.picking, t.retrained) for t in found] == [
        (picking, retrained) for picking in PICKINGS for retrained in (True, False)
    ]
    for trial in found:
        assert [each.labelled for each in trial.rounds] == [0, 2, 4]
        assert trial.rounds[0] == found[0].rounds[0]
        if trial.retrained:
            assert any(each.promoted for each in trial.rounds)
            assert trial.rounds[-1].j_and_f > trial.rounds[0].j_and_f + 0.1
        else:  # nobody learns, so a clip that nobody labels stays as it is
            assert len({(each.j_and_f, each.corrected) for each in trial.rounds}) == 1
            assert {each.promoted for each in trial.rounds} == {None}


def test_nothing_kept_aside_is_learnt_and_each_label_is_new_once(trials, clips):
    _, learnt = trials
    aside = {take.name for take in clips[1]}
    first, second = (sources for sources, _ in learnt[:2])
    for sources, _ in learnt:
        assert aside.isdisjoint(take.name for take in (*sources.clips, *sources.fresh))
        assert sum(len(take.frames) for take in sources.fresh) == 2
    assert not first.clips
    frames = {(take.name, frame) for take in first.fresh for frame in take.frames}
    assert {(t.name, frame) for t in second.clips for frame in t.frames} == frames
    assert frames.isdisjoint((t.name, frame) for t in second.fresh for frame in t.frames)


def test_in_order_and_by_priority(trials):
    _, learnt = trials
    fresh = [[(t.name, t.frames) for t in sources.fresh] for sources, _ in learnt]
    by_priority, in_order = fresh[0], fresh[4]
    assert len(in_order) == 1
    assert in_order[0][1] == (0, 5)
    assert by_priority != in_order


def test_the_report(trials, tmp_path):
    paths = write_simulation(trials[0], tmp_path)
    assert [path.name for path in paths] == [
        "simulation.txt",
        "simulation.json",
        "simulation.png",
    ]
    text = paths[0].read_text()
    assert text.count("priority") == 2
    assert "(nothing)" in text
    rows = json.loads(paths[1].read_text())
    assert rows[0]["rounds"][1]["labelled"] == 2
