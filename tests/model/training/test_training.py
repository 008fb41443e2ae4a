import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labeler.errors import LabelerError
from model.engines.pdnet.features import unguided
from model.engines.pdnet.learner import PDNetLearner, excused
from model.engines.pdnet.network import PDNet
from model.engines.pdnet.recipes import RECIPES as LISTED
from model.engines.pdnet.recipes import LossWeights, PDNetConfig
from model.learning.losses import segmentation_loss
from model.learning.recipe import Recipe, learning_rate
from model.nn.pictures import to_input
from model.nn.resnet import ResNet
from model.training.checkpoint import CHECKPOINT_FILE
from model.training.log import plot_losses
from model.training.processes import Processes
from model.training.trainer import Schedule, Trainer, TrainingProgress, gradients
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
    **options: Any,
) -> Trainer:
    torch.manual_seed(0)
    seeing = ResNet("resnet18") if recipe.losses.semantic else None
    videos = batches or MadeBatches()
    schedule = Schedule(recipe, videos, MadeBatches(references=0), Processes())
    return Trainer(
        PDNetLearner(network or PDNet(TINY), recipe, seeing),
        schedule,
        folder,
        steps=steps,
        device=torch.device("cpu"),
        **options,
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


def test_image_steps_leave_the_statistics_of_what_they_do_not_train(tmp_path):
    network = PDNet(TINY)
    before = {name: value.clone() for name, value in network.named_buffers()}
    recipe = replace(PAPER, freeze_statistics=False)
    trainer(tmp_path, recipe, steps=1, network=network).run()  # one image step
    changed = {
        name.split(".")[0]
        for name, value in network.named_buffers()
        if not torch.equal(value, before[name])
    }
    assert changed == {"body"}  # the pyramid and the sides have no statistics


def test_the_rate_in_the_log_is_that_of_the_step(tmp_path):
    trainer(tmp_path, PAPER, steps=6).run()
    for step, row in enumerate(log(tmp_path)):
        maximum = 2.5e-4 if row["kind"] == "image" else 2.5e-3
        assert float(row["rate"]) == pytest.approx(learning_rate(maximum, (step + 1) / 7, PAPER))


def test_without_a_body_that_knows_pictures_the_semantic_term_is_off(tmp_path):
    learner = PDNetLearner(PDNet(TINY), PAPER)
    assert learner.loss.semantic is None
    assert "semantic" not in learner.losses(MadeBatches()[0], 1.0).terms
    with_one = PDNetLearner(PDNet(TINY), PAPER, ResNet("resnet18"))
    assert with_one.losses(MadeBatches()[0], 1.0).numbers()["semantic"] > 0


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


@pytest.mark.parametrize(
    ("name", "other"),
    [("seed", 1), ("size", 320), ("rate", 1e-4), ("batch size", 4), ("dataset", "b")],
)
def test_a_training_of_something_else_is_refused_by_name(tmp_path, name, other):
    identity = {"seed": 0, "size": 256, "rate": 1e-3, "batch size": 8, "dataset": "a"}
    trainer(tmp_path, steps=2, identity=identity).run()
    trainer(tmp_path, steps=2, identity=identity)
    with pytest.raises(LabelerError, match=f"with {name} {identity[name]} and not {other};"):
        trainer(tmp_path, steps=2, identity=identity | {name: other})


def test_a_budget_in_time_is_kept_and_what_fits_is_taken(tmp_path):
    run = trainer(tmp_path, steps=1000, seconds=8.0)
    rates = []
    run.run(progress=lambda _: rates.append(run.optimisers["video"].param_groups[0]["lr"]))
    assert 4 < run.seconds < 14
    assert run.step == run.steps == len(log(tmp_path)) > 3
    assert rates[-1] < 0.7 * max(rates)  # the schedule followed the clock to its end
    before = (tmp_path / "losses.csv").read_bytes()
    again = trainer(tmp_path, steps=1000, seconds=8.0)
    again.run()
    assert (tmp_path / "losses.csv").read_bytes() == before
    with pytest.raises(LabelerError, match=r"of 0.133333 minutes and not of 0.1 minutes"):
        trainer(tmp_path, steps=1000, seconds=6.0)


def test_a_budget_in_time_goes_on_with_the_time_that_is_left(tmp_path):
    run = trainer(tmp_path, steps=1000, seconds=12.0)

    def stop(progress: TrainingProgress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(progress=stop, checkpoint_seconds=-1)
    again = trainer(tmp_path, steps=1000, seconds=12.0)
    assert again.step == 2
    assert 0 < again.seconds < 12
    again.run()
    assert 6 < again.seconds < 24


def test_samples_are_told_how_long_the_training_is(tmp_path):
    told = []
    schedule = Schedule(QUICK, MadeBatches(), MadeBatches(references=0), Processes(), told.append)
    run = Trainer(
        PDNetLearner(PDNet(TINY), QUICK), schedule, tmp_path, steps=3,
        device=torch.device("cpu"),
    )  # fmt: skip
    run.run()
    assert told == [3, 3, 3]


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


class WeakBatches(MadeBatches):
    """Every second batch is of clips without masks."""

    def __getitem__(self, index):
        batch = super().__getitem__(index)
        if index % 2:
            return batch
        views = torch.cat([batch.images[:, None], batch.reference_images], dim=1)
        nobody = torch.zeros_like(batch.reference_masks)
        return replace(batch, weak=views, masks=nobody[:, 0], reference_masks=nobody)


def test_a_mean_teacher_labels_clips_without_masks(tmp_path, monkeypatch, request):
    # How sure the mean of the weights is after so few steps depends on every rounding.
    monkeypatch.setattr("model.nn.precision._has_units", lambda device: False)
    threads = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    torch.set_num_threads(1)
    run = trainer(tmp_path, QUICK, steps=60, batches=WeakBatches(given=0.0))
    learnt, losses = [], run.learner.losses
    monkeypatch.setattr(run.learner, "losses", lambda b, r: (learnt.append(b), losses(b, r))[1])
    run.run()
    own = [batch for batch in learnt if batch.weak.shape[1]]
    assert len(own) == 30
    later = own[-10:]
    truths = [MadeBatches(given=0.0)[n].masks for n in range(40, 60, 2)]
    for batch, truth in zip(later, truths, strict=True):  # no mask of theirs was ever given
        sure = batch.sure[:, 0]
        assert sure.float().mean() > 0.05
        assert (batch.masks == truth)[sure].float().mean() > 0.95


def test_what_the_teacher_is_not_sure_of_has_no_gradient():
    torch.manual_seed(0)
    learner = PDNetLearner(PDNet(TINY), QUICK)
    images = torch.zeros(1, 1, 64, 64)
    logits = images.clone().requires_grad_()
    sure = torch.zeros_like(images, dtype=torch.bool)
    sure[..., :32] = True
    truth = images + 1.0
    segmentation_loss(excused(logits, truth, sure), truth).backward()
    assert (logits.grad[..., :32] != 0).all()
    assert (logits.grad[..., 32:] == 0).all()
    batch = replace(MadeBatches()[0], sure=torch.zeros(2, 2, 1, 64, 64, dtype=torch.bool))
    learner.losses(batch, 1.0).total.backward()
    head = learner.network.head[-1].weight.grad
    assert head is None or not head.any()


def test_clips_without_masks_need_a_mean_of_the_weights(tmp_path):
    run = trainer(tmp_path, replace(QUICK, average=0.0), batches=WeakBatches())
    with pytest.raises(LabelerError, match="'quick' of pdnet cannot learn from clips without"):
        run.run()


def test_curves_are_drawn(tmp_path):
    trainer(tmp_path, PAPER, steps=6).run()
    plot_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 10_000


SIMPLE = replace(QUICK, optimiser="sgd", rate=1e-2, backbone_rate=1e-2, average=0.5, decay=0.9)
"""AdamW would make a rounding error of a small gradient as large as the gradient."""

TOGETHER = """
import sys
from pathlib import Path
import torch
import model.nn.precision
from model.training.processes import Processes
from tests.model.training.test_training import together

model.nn.precision._has_units = lambda device: False
processes = Processes.from_environment(torch.device("cpu"))
folder = Path(sys.argv[1])
run = together(folder, processes, steps=int(sys.argv[2]))
run.run(checkpoint_seconds=float(sys.argv[3]))
torch.save(run.result.state_dict(), folder / f"{processes.rank}.pt")
"""


def together(folder: Path, processes: Processes, **options: Any) -> Trainer:
    """A training of two samples a step, however many processes share them; all have masks."""
    torch.manual_seed(0)
    videos = MadeBatches(batch_size=2 // processes.count, given=1.0)
    schedule = Schedule(SIMPLE, videos, MadeBatches(references=0), processes)
    learner = PDNetLearner(PDNet(TINY), SIMPLE)
    device = torch.device("cpu")
    return Trainer(learner, schedule, folder, device=device, **options)


def two_processes(folder: Path, steps: int, checkpoint_seconds: float) -> None:
    (folder / "together.py").write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    arguments = [folder / "together.py", folder, steps, checkpoint_seconds]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_come_to_the_weights_of_one(tmp_path, monkeypatch):
    """Batch statistics learn, and the state is written after each step."""
    monkeypatch.setattr("model.nn.precision._has_units", lambda device: False)
    (tmp_path / "alone").mkdir()
    two_processes(tmp_path, 3, -1)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [row["step"] for row in log(tmp_path)] == [str(step) for step in range(3)]
    run = together(tmp_path / "alone", Processes(), steps=3)
    before = {name: value.double() for name, value in run.result.state_dict().items()}
    run.run()
    alone = {name: value.double() for name, value in run.result.state_dict().items()}
    apart, moved = (
        sum(float((alone[name] - other[name]).square().sum()) for name in alone) ** 0.5
        for other in (first, before)
    )
    # Rounding comes to .4 %, as where one process takes its samples in another order; statistics
    # that are not synchronised come to 16 %.
    assert apart < 0.03 * moved
    columns = zip(log(tmp_path), log(tmp_path / "alone"), strict=True)
    for row, other in columns:  # the log is of all samples, too
        assert float(row["total"]) == pytest.approx(float(other["total"]), rel=0.1)


def test_processes_stop_and_save_by_one_clock(tmp_path):
    """Were each to decide for itself, one would wait for ever in a save that the other skips."""
    script = TOGETHER.replace("steps=int(sys.argv[2])", "steps=1000, seconds=float(sys.argv[2])")
    script = script.replace(
        "folder = Path",
        "import time\nclock = time.monotonic\n"
        "time.monotonic = lambda: clock() * (1 + processes.rank)\nfolder = Path",
    )
    (tmp_path / "clocks.py").write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*command, str(tmp_path / "clocks.py"), str(tmp_path), "12", "0.3"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert len(log(tmp_path)) > 1


def test_masks_given_to_the_paper_recipe_move_all_that_follows_them():
    """Everything of guidance is 0 at first; without a gradient there it would stay so."""
    torch.manual_seed(0)
    learner = PDNetLearner(PDNet(TINY), replace(RECIPES["paper"], configuration="tiny"))
    learner.losses(MadeBatches(given=1.0, references=2)[0], 1.0).total.backward()
    names = ("override", "hint.weight", "attention.label.weight", "attention.nearness")
    assert all(learner.network.get_parameter(name).grad.any() for name in names)
    assert RECIPES["paper"].samples.guided == 0.5


def test_processes_exchange_as_many_gradients_whatever_their_samples_are():
    used, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))
    (2 * used).sum().backward()
    assert [g.tolist() for g in gradients([used, unused], shared=False)] == [[2, 2]]
    assert unused.grad is None
    assert [g.tolist() for g in gradients([used, unused], shared=True)] == [[2, 2], [0, 0, 0]]
