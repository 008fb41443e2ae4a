"""One retraining from beginning to end: snapshot, training, verdict, promotion.

A killed retraining resumes from its files: the training from its checkpoint, the judging from its
beginning. Promotion and the copy into the registry may be done twice without harm.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from backend.settings import Settings
from backend.work.training_runs import (
    ATTEMPTS,
    FOLDER,
    SNAPSHOT,
    Phase,
    Retraining,
    RetrainingState,
    only_one,
    runs,
    unfinished,
)
from labeler.errors import LabelerError
from labeler.files import write_atomically
from labeler.likeness import Thumbnails, alike
from labeler.publish.locked import locked_thumbnails
from labeler.publish.snapshot import Snapshot, take_snapshot
from labeler.workspace.workspace import Workspace
from model.card import ModelCard, read_card, write_card
from model.data.layouts import portraits_from
from model.data.snapshot import held_out_takes, sources_of
from model.data.sources import Sources, Take
from model.loading import default_model, find_device, load_segmenter, weights_folder
from model.measure.judge import Criteria, Outcome, Verdict, judge, judge_page
from model.registry import ModelRegistry
from model.training.checkpoint import CHECKPOINT_FILE
from model.training.further import Budget, train_further
from model.training.trainer import TrainingProgress

TOLD_EVERY = 2.0
"""Seconds between two updates of a training's state."""

Note = Callable[[str], None]
Report = Callable[[int, int], None]


class StoppedError(Exception):
    """Somebody wanted the retraining to stop."""


def retrain(
    workspace: Workspace, settings: Settings, note: Note, report: Report = lambda done, total: None
) -> RetrainingState:
    """Retrain the champion on the masks accepted so far, judge the outcome, promote what is better.

    Args:
        workspace: the clips and masks.
        settings: what else to train on, for how long, and on which device.
        note: called with a sentence for each thing that happens.
        report: called with how many steps, then clips, are done, and of how many.

    Returns:
        What came of it.

    Raises:
        LabelerError: another retraining runs, there is nothing to learn from, or it failed.
    """
    with only_one(workspace.root):
        run = unfinished(workspace.root) or _begin(workspace, settings)
        state = run.state
        if state.attempts >= ATTEMPTS:
            sentence = f"It ended {ATTEMPTS} times without a message; see {FOLDER}/log.txt."
            run.tell(stage=Phase.FAILED, sentence=sentence)
            raise LabelerError(sentence)
        run.tell(attempts=state.attempts + 1)
        try:
            if state.stage is Phase.TRAINING:
                _train(run, workspace, settings, note, report)
            verdict = _judge(run, workspace, settings, report)
            _conclude(run, workspace, verdict)
            note(run.state.sentence)
        except StoppedError:
            run.tell(stage=Phase.STOPPED, sentence="Stopped on the status page.")
            note("Stopped.")
        except torch.OutOfMemoryError as error:
            sentence = (
                f"The device's memory is too small ({str(error).splitlines()[0]}); set "
                "MVPS_TRAIN_BATCH or MVPS_TRAIN_SIZE lower, or choose another MVPS_TRAIN_DEVICE."
            )
            run.tell(stage=Phase.FAILED, sentence=sentence)
            raise LabelerError(sentence) from None
        except LabelerError as error:
            run.tell(stage=Phase.FAILED, sentence=str(error))
            raise
        return run.state


def judge_other(
    workspace: Workspace, settings: Settings, model: str, report: Path, progress: Report
) -> Verdict:
    """Compare any weights with the champion on the locked clips; promote them if they are better.

    Args:
        workspace: the clips and masks.
        settings: the share of locked clips, how many a promotion takes, and the device.
        model: the version of weights that were kept, a folder with some, or bundled ones.
        report: where the page goes.
        progress: called with how many clips are done, and of how many.

    Raises:
        LabelerError: there are no such weights, or no mask is accepted yet.
    """
    registry = ModelRegistry(workspace.root / "models")
    champion = registry.path(_first_champion(workspace, settings))
    folder = weights_folder(model, registry.folder) or registry.path(model)
    snapshot = take_snapshot(workspace, settings.test_share)
    verdict = _compare(snapshot, workspace, settings, champion, folder, report, progress)
    if verdict.outcome is Outcome.BETTER:
        registry.promote(registry.keep(folder).model_version, verdict.sentence)
    return verdict


def _begin(workspace: Workspace, settings: Settings) -> Retraining:
    """Take a snapshot, and record the champion, with which the candidate is to be compared."""
    begun = datetime.now(UTC)
    run = Retraining(workspace.root / FOLDER / begun.strftime("%Y-%m-%dT%H-%M-%S.%f"))
    state, snapshot = RetrainingState(Phase.TRAINING, begun, ""), Snapshot((), (), (), ())
    try:
        snapshot = take_snapshot(workspace, settings.test_share)
        state = replace(state, champion=_first_champion(workspace, settings))
    except LabelerError as error:  # whoever clicked a button reads it on the status page
        state = replace(state, stage=Phase.FAILED, sentence=str(error))
        raise
    finally:
        run.folder.mkdir(parents=True)
        snapshot.write(run.folder / SNAPSHOT)
        run.write(state)  # last: a folder with a state is complete
    return run


def _first_champion(workspace: Workspace, settings: Settings) -> str:
    """Return the champion; if there is none, the weights that mask now become the first one."""
    registry = ModelRegistry(workspace.root / "models")
    if (champion := registry.champion) is not None:
        return champion
    model = settings.model or default_model()
    folder = weights_folder(model, registry.folder)
    if folder is None:
        raise LabelerError(
            f"{model!r} has no weights that could be trained further; set MVPS_MODEL to a folder "
            "with weights, or leave it out."
        )
    return registry.promote(registry.keep(folder).model_version, "to begin with")


def _train(
    run: Retraining, workspace: Workspace, settings: Settings, note: Note, report: Report
) -> None:
    snapshot, state = run.snapshot, run.state
    for clip, reason in snapshot.left_out:
        note(f"{clip} is not trained on: {reason}.")
    start = ModelRegistry(workspace.root / "models").path(state.champion)
    card = read_card(start)
    sources = sources_of(snapshot, workspace.root, _known(run, workspace, card))
    looks = locked_thumbnails(workspace.root)
    for folder in settings.rehearsed:
        rehearsed, dropped = _without_locked(portraits_from(folder), looks)
        sources += rehearsed
        if dropped:
            note(f"{dropped} pictures of {folder} show locked test clips and are left out.")
    note(
        f"training {card.model_version} further on {_count(sources.fresh)} new and "
        f"{_count(sources.clips) + len(sources.stills)} known masks; {len(snapshot.test)} clips "
        "are locked"
    )
    told = 0.0

    def follow(progress: TrainingProgress) -> None:
        nonlocal told
        report(progress.step, progress.steps)
        if run.is_to_stop:
            raise StoppedError
        if time.monotonic() - told > TOLD_EVERY:
            told = time.monotonic()
            farther = {"attempts": 1} if progress.step > state.done else {}
            left = progress.seconds_left
            run.tell(done=progress.step, total=progress.steps, seconds_left=left, **farther)

    budget = Budget(
        minutes=settings.train_minutes,
        steps=settings.train_steps,
        size=settings.train_size,
        batch_size=settings.train_batch,
        rate=settings.train_rate,
        fresh=settings.fresh_share,
        device=find_device(settings.train_device or settings.device),
        seed=int(snapshot.digest[:8], 16),
    )
    trained = train_further(
        sources,
        start,
        run.weights,
        budget,
        version=_next_version(workspace, card),
        data=f"snapshot {snapshot.digest[:8]}",
        progress=follow,
    )
    write_card(run.weights, replace(trained, parent=card.model_version, snapshot=snapshot.digest))
    run.tell(stage=Phase.JUDGING, candidate=trained.model_version, done=0, total=0)


def _judge(run: Retraining, workspace: Workspace, settings: Settings, report: Report) -> Verdict:
    champion = ModelRegistry(workspace.root / "models").path(run.state.champion)

    def follow(done: int, total: int) -> None:
        report(done, total)
        if run.is_to_stop:
            raise StoppedError
        run.tell(done=done, total=total)

    return _compare(run.snapshot, workspace, settings, champion, run.weights, run.report, follow)


def _compare(
    snapshot: Snapshot,
    workspace: Workspace,
    settings: Settings,
    champion: Path,
    candidate: Path,
    report: Path,
    progress: Report,
) -> Verdict:
    """Judge the weights of two folders on a snapshot's locked clips, and write the page."""
    device = settings.train_device or settings.device
    takes = held_out_takes(snapshot, workspace.root)
    loaded = [load_segmenter(str(each), device=device) for each in (champion, candidate)]
    verdict, worst = judge(
        takes,
        [snapshot.clip(take.name).scenario for take in takes],
        *(segmenter for segmenter, _ in loaded),
        criteria=Criteria(
            fewest=settings.judge_clips,
            by_effort=len({card.engine for _, card in loaded}) > 1,
        ),
        progress=progress,
    )
    write_atomically(report, judge_page(verdict, worst).encode())
    return verdict


def _conclude(run: Retraining, workspace: Workspace, verdict: Verdict) -> None:
    """Keep the candidate with what was found, and promote it if it is better."""
    registry = ModelRegistry(workspace.root / "models")
    scores = {}
    if verdict.clips:
        scores = {
            "locked clips: J&F": verdict.mean("candidate", "j_and_f"),
            "locked clips: FC@85": verdict.mean("candidate", "corrected"),
            "locked clips: ms a frame": verdict.mean("candidate", "ms"),
        }
    card = read_card(run.weights)
    better = verdict.outcome is Outcome.BETTER
    sentence = verdict.sentence
    if better and registry.champion not in (verdict.champion, card.model_version):
        better = False
        sentence = f"Not promoted: {registry.champion} became the champion meanwhile."
    rounded = {name: round(value, 4) for name, value in scores.items()}
    write_card(run.weights, replace(card, scores=rounded, verdict=sentence))
    registry.keep(run.weights)
    if better:
        registry.promote(card.model_version, sentence)
    run.tell(stage=Phase.PROMOTED if better else Phase.KEPT, sentence=sentence)
    for checkpoint in run.folder.glob(f"*/{CHECKPOINT_FILE}"):
        checkpoint.unlink()


def _known(run: Retraining, workspace: Workspace, card: ModelCard) -> Snapshot | None:
    """The snapshot that the champion was trained on; None if that is not of this workspace."""
    for other in runs(workspace.root):
        if other.name != run.name and other.snapshot.digest == card.snapshot:
            return other.snapshot
    return None


def _without_locked(sources: Sources, looks: dict[str, Thumbnails]) -> tuple[Sources, int]:
    """The sources without clips and pictures that show a locked clip, and how many these are."""
    takes = [*sources.clips, *sources.objects]
    stills = [still for take in takes for still in take.stills]
    stills += [*sources.stills, *sources.backgrounds]
    bad = {found.picture for found in alike((still.image for still in stills), looks)}
    good = {t.name for t in takes if bad.isdisjoint(still.image for still in t.stills)}
    kept = replace(
        sources,
        clips=tuple(take for take in sources.clips if take.name in good),
        objects=tuple(take for take in sources.objects if take.name in good),
        stills=tuple(still for still in sources.stills if still.image not in bad),
        backgrounds=tuple(still for still in sources.backgrounds if still.image not in bad),
    )
    return kept, len(bad)


def _next_version(workspace: Workspace, card: ModelCard) -> str:
    """The champion's version with its last number raised above those of all weights kept."""
    pattern = re.compile(rf"{re.escape(card.configuration)}-(\d+)\.(\d+)\.(\d+)\+")
    kept = ModelRegistry(workspace.root / "models").cards()
    versions = [tuple(map(int, m.groups())) for c in kept if (m := pattern.match(c.model_version))]
    own = pattern.match(card.model_version)
    if own is None:
        return "1.0.0"
    major, minor = int(own[1]), int(own[2])
    return f"{major}.{minor}.{1 + max(v[2] for v in versions if v[:2] == (major, minor))}"


def _count(takes: Sequence[Take]) -> int:
    return sum(len(take.frames) for take in takes)
