import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from labeler.errors import LabelerError
from model.engines.pdnet.features import unguided
from model.engines.pdnet.learner import PDNetLearner
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import RECIPES as LISTED
from model.engines.pdnet.recipes import LossWeights, PDNetConfig
from model.nn.pictures import to_input
from model.training.checkpoint import CHECKPOINT_FILE
from model.training.log import plot_losses
from model.training.processes import Processes
from model.training.recipe import Recipe, learning_rate
from model.training.trainer import Schedule, Trainer
from tests.model.made_batches import MadeBatches

pytestmark = pytest.mark.training

ROOT = Path(__file__).parents[3]
RECIPES = {recipe.name: recipe for recipe in LISTED}
TINY = PDNetConfig("resnet18", 16, compressed=8, parts=2)
QUICK = replace(RECIPES["quick"], rate=3e-3, backbone_rate=3e-3, ramp_epochs=1.0, average=0.9)
PAPER = replace(RECIPES["paper"], ramp_epochs=1.0, losses=LossWeights(), freeze_statistics=True)


def trainer(
    folder: Path,
    recipe: Recipe = QUICK,
    steps: int = 8,
    batches: MadeBatches | None = None,
    network: PDNet | None = None,
) -> Trainer:
    torch.manual_seed(0)
    videos = batches or MadeBatches()
    schedule = Schedule(recipe, videos, MadeBatches(references=0), Processes())
    return Trainer(
        recipe,
        PDNetLearner(network or PDNet(TINY), recipe),
        schedule,
        folder,
        steps=steps,
        device=torch.device("cpu"),
    )


def log(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_network_learns_what_is_bright(tmp_path):
    run = trainer(tmp_path, replace(QUICK, average=0.0), steps=120)
    run.run()
    rows = log(tmp_path)
    first, last = (np.mean([float(r["final"]) for r in part]) for part in (rows[:5], rows[-5:]))
    assert last < 0.5 * first
    batch = MadeBatches()[1000]
    network = run.result.eval()
    with torch.no_grad():
        features = network.encode(to_input(batch.images))
        own = unguided(features, sets=len(features))
        found = network.decode(features, own).logits > 0
    overlap = (found & batch.masks).sum() / (found | batch.masks).sum()
    assert overlap > 0.8


def test_every_step_and_every_term_is_logged(tmp_path):
    trainer(tmp_path, PAPER, steps=6).run()
    rows = log(tmp_path)
    assert [row["step"] for row in rows] == [str(step) for step in range(6)]
    assert [row["kind"] for row in rows] == ["image", "video", "video"] * 2
    for row in rows:
        terms = ("final", "saliency_target", "geometric", "semantic", "area", "readout")
        assert all((row[term] != "") == (row["kind"] == "video") for term in terms)
        assert float(row["total"]) > 0
        assert row["auxiliary"]


def test_image_and_video_steps_have_an_optimiser_each(tmp_path):
    network = PDNet(TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run = trainer(tmp_path, PAPER, steps=1, network=network)
    run.run()  # one image step: encoder and side outputs alone
    moved = {
        name.split(".")[0]
        for name, parameter in network.named_parameters()
        if not torch.equal(parameter, before[name])
    }
    assert moved == {"body", "pyramid", "sides"}
    rates = {
        kind: sorted({group["maximum"] for group in optimiser.param_groups})
        for kind, optimiser in run.optimisers.items()
    }
    assert rates == {"image": [2.5e-4], "video": [2.5e-5, 2.5e-3, 1e-2]}
    assert all(g["momentum"] == 0.9 for o in run.optimisers.values() for g in o.param_groups)


def test_frozen_statistics_stay_and_others_learn(tmp_path):
    network = PDNet(TINY)
    before = {name: value.clone() for name, value in network.named_buffers()}
    trainer(tmp_path, PAPER, steps=3, network=network).run()
    changed = [
        name
        for name, value in network.named_buffers()
        if name.endswith("running_mean") and not torch.equal(value, before[name])
    ]
    assert changed
    assert not [name for name in changed if name.startswith("body.")]


def test_the_schedule_warms_up_to_its_maximum_and_falls_to_zero():
    paper = RECIPES["paper"]
    rates = [learning_rate(2.5e-3, step / 1000, paper) for step in range(1001)]
    assert max(rates) == pytest.approx(2.5e-3)
    assert rates.index(max(rates)) == 50
    assert rates[0] == rates[-1] == 0
    assert rates[525] == pytest.approx(2.5e-3 * 0.5**0.9)


def test_the_paper_recipe_is_the_papers():
    paper = RECIPES["paper"]
    assert (paper.configuration, paper.size, paper.batch_size, paper.epochs) == (
        "pdnet",
        480,
        4,
        60,
    )
    assert (paper.image_steps, paper.video_steps) == (1, 2)
    assert (paper.image_rate, paper.backbone_rate, paper.rate) == (2.5e-4, 2.5e-5, 2.5e-3)
    assert (paper.optimiser, paper.weight_decay) == ("sgd", 5e-4)


def test_single_numbers_have_a_rate_of_their_own_and_none_decays(tmp_path):
    run = trainer(tmp_path, replace(QUICK, scalar_rate=0.5), steps=1)
    groups = run.optimisers["video"].param_groups
    scalars = [group for group in groups if group["params"][0].ndim == 0]
    assert [(group["maximum"], group["weight_decay"]) for group in scalars] == [(0.5, 0.0)]
    assert {id(p) for p in scalars[0]["params"]} == {
        id(p) for p in run.network.parameters() if p.ndim == 0
    }
    assert 0.5 not in {group["maximum"] for group in groups if group["params"][0].ndim}


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.model.training.test_training import PAPER, QUICK, trainer

folder, name, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def die(progress):
    if progress.step == last:
        os.kill(os.getpid(), signal.SIGKILL)

trainer(folder, {"paper": PAPER, "quick": QUICK}[name], steps=9).run(
    progress=die, checkpoint_seconds=-1 if last % 2 else 1000
)
"""


@pytest.mark.parametrize(("name", "last"), [("paper", 5), ("quick", 4)])
def test_a_killed_training_goes_on_with_the_same_losses(tmp_path, name, last):
    """With a checkpoint after each step (5), and with none before the kill (4)."""
    recipe = {"paper": PAPER, "quick": QUICK}[name]
    whole = trainer(tmp_path / "whole", recipe, steps=9)
    whole.run()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), name, str(last)]
    killed = subprocess.run(command, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    again = trainer(tmp_path / "killed", recipe, steps=9)
    assert again.step == (5 if last == 5 else 0)
    again.run()
    assert log(tmp_path / "killed") == log(tmp_path / "whole")
    for name_, value in whole.result.state_dict().items():
        assert torch.equal(value, again.result.state_dict()[name_]), name_


def test_a_training_that_is_done_stays_done(tmp_path):
    trainer(tmp_path, steps=4).run()
    before = (tmp_path / "losses.csv").read_bytes()
    trainer(tmp_path, steps=4).run()
    assert (tmp_path / "losses.csv").read_bytes() == before


def test_another_budget_or_a_damaged_checkpoint_is_refused(tmp_path):
    trainer(tmp_path, steps=4).run()
    with pytest.raises(LabelerError, match="of 4 steps and not of 5"):
        trainer(tmp_path, steps=5)
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(LabelerError, match="cannot be taken up again"):
        trainer(tmp_path, steps=4)


def test_numbers_that_are_not_finite_stop_it_with_the_last_good_weights(tmp_path):
    run = trainer(tmp_path, replace(QUICK, optimiser="sgd", rate=1e30, warm_up=0.0), steps=30)
    with pytest.raises(LabelerError, match=r"stopped at step \d+: .* not finite.*--rate"):
        run.run(checkpoint_seconds=-1)
    steps = {row["step"] for row in log(tmp_path)}
    good = trainer(tmp_path, replace(QUICK, optimiser="sgd"), steps=30)
    assert good.step == len(steps) == run.step


def test_the_kept_mean_is_of_the_last_weights(tmp_path):
    run = trainer(tmp_path, replace(QUICK, average=0.999), steps=3)
    seen = []
    run.run(progress=lambda _: seen.append(run.network.head[1].bias.item()))
    mean = torch.tensor(0.0)  # the head's bias starts at 0, and so does its mean
    for step, value in enumerate(seen):
        mean = mean.lerp(torch.tensor(value), 1 - min(0.999, (1 + step) / (10 + step)))
    assert run.result.head[1].bias.item() == pytest.approx(mean.item(), rel=1e-4)


def test_curves_are_drawn(tmp_path):
    trainer(tmp_path, PAPER, steps=6).run()
    plot_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 10_000


TOGETHER = """
import sys
from pathlib import Path
import torch
from model.training.processes import Processes
from model.training.trainer import Schedule, Trainer
from tests.model.made_batches import MadeBatches
from tests.model.training.test_training import QUICK, TINY
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.learner import PDNetLearner

folder = Path(sys.argv[1])
processes = Processes.from_environment(torch.device("cpu"))
torch.manual_seed(0)
videos = MadeBatches()
schedule = Schedule(QUICK, videos, MadeBatches(references=0), processes)
run = Trainer(QUICK, PDNetLearner(PDNet(TINY), QUICK), schedule, folder, steps=4,
              device=torch.device("cpu"), processes=processes)
run.run()
torch.save([p.detach() for p in run.network.parameters()], folder / f"{processes.rank}.pt")
"""


def test_processes_train_one_network_together(tmp_path):
    (tmp_path / "together.py").write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, "--standalone", str(tmp_path / "together.py"), str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert len(log(tmp_path)) == 4
    alone = trainer(tmp_path / "alone", steps=4)
    alone.run()
    pairs = zip(first, alone.network.parameters(), strict=True)
    assert not all(torch.equal(one, other) for one, other in pairs)  # each saw its own batches
