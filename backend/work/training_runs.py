"""Retrainings of a workspace's network: which there were, whether one runs, and when one is due.

Each has a folder in the workspace::

    retraining/<begun>/state.json      how far it is, see `RetrainingState`
    retraining/<begun>/snapshot.json   what it is trained and judged on
    retraining/<begun>/weights/        the candidate, with checkpoint and log
    retraining/<begun>/report.html     how it was judged
    retraining/<begun>/stop            exists if somebody asked it to stop
    retraining/lock                    held by the process that retrains

`backend.work.retrain` does the work; nothing here imports torch.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from backend.settings import Settings
from labeler.errors import LabelerError
from labeler.files import write_atomically
from labeler.publish.snapshot import Snapshot, accepted_masks
from labeler.workspace.workspace import Workspace

FOLDER, LOCK = "retraining", "lock"
STATE, SNAPSHOT, WEIGHTS, REPORT, STOP = (
    "state.json",
    "snapshot.json",
    "weights",
    "report.html",
    "stop",
)
ATTEMPTS = 3
"""How often a retraining is started that dies without a message, as when memory runs out, and gets
no further than before."""


class Phase(StrEnum):
    """How far a retraining is; after a crash, one that was TRAINING or JUDGING goes on."""

    TRAINING = "training"
    JUDGING = "judging"
    PROMOTED = "promoted"
    KEPT = "not promoted"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the retraining has ended."""
        return self not in (Phase.TRAINING, Phase.JUDGING)


@dataclass(frozen=True)
class RetrainingState:
    """How far a retraining is, and what came of it in one sentence.

    `done` and `total` count steps, then clips; `seconds_left` is that of the training.
    """

    stage: Phase
    begun: datetime
    champion: str
    candidate: str = ""
    attempts: int = 0
    done: int = 0
    total: int = 0
    seconds_left: float = 0.0
    sentence: str = ""


@dataclass(frozen=True)
class Retraining:
    """One retraining, in its folder."""

    folder: Path

    @property
    def name(self) -> str:
        """Its name: when it began."""
        return self.folder.name

    @property
    def state(self) -> RetrainingState:
        """How far it is.

        Raises:
            LabelerError: the file of the state cannot be read.
        """
        path = self.folder / STATE
        try:
            found = json.loads(path.read_text())
            found["stage"] = Phase(found["stage"])
            found["begun"] = datetime.fromisoformat(found["begun"])
            return RetrainingState(**found)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LabelerError(
                f"The state of a retraining, {path}, cannot be read ({error}); remove "
                f"{self.folder}."
            ) from None

    @property
    def snapshot(self) -> Snapshot:
        """What it is trained and judged on."""
        return Snapshot.read(self.folder / SNAPSHOT)

    @property
    def weights(self) -> Path:
        """Where the candidate is."""
        return self.folder / WEIGHTS

    @property
    def report(self) -> Path:
        """The page of the verdict."""
        return self.folder / REPORT

    def write(self, state: RetrainingState) -> None:
        """Write the state to the folder."""
        fields = asdict(state) | {"begun": state.begun.isoformat()}
        write_atomically(self.folder / STATE, (json.dumps(fields, indent=2) + "\n").encode())

    def tell(self, **changes: object) -> None:
        """Change some fields of the state."""
        self.write(replace(self.state, **changes))  # type: ignore[arg-type]

    @property
    def is_to_stop(self) -> bool:
        """Whether somebody asked it to stop."""
        return (self.folder / STOP).exists()

    def stop(self) -> None:
        """Ask it to stop."""
        (self.folder / STOP).touch()


def runs(workspace: Path) -> list[Retraining]:
    """Return the retrainings of a workspace, the newest first."""
    states = sorted((workspace / FOLDER).glob(f"*/{STATE}"), reverse=True)
    return [Retraining(path.parent) for path in states]


def last_run(workspace: Path) -> Retraining | None:
    """Return the retraining of a workspace that began last; None if there was none."""
    return next(iter(runs(workspace)), None)


@contextmanager
def only_one(workspace: Path) -> Iterator[None]:
    """Hold the lock that allows only one retraining at a time.

    Raises:
        LabelerError: another process holds it.
    """
    folder = workspace / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        for _ in range(20):  # `is_running` elsewhere holds it for a moment
            if _try(handle, fcntl.LOCK_EX):
                break
            time.sleep(0.05)
        else:
            raise LabelerError(
                "The network of this workspace is being retrained already; wait for it, or stop it "
                "on the status page."
            )
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


def is_running(workspace: Path) -> bool:
    """Whether a retraining is going on in some process."""
    try:
        handle = os.open(workspace / FOLDER / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def end_running(workspace: Path) -> None:
    """End the process that retrains this workspace, if any; the next one goes on where it was."""
    if is_running(workspace):
        with suppress(ValueError, OSError):
            os.kill(int((workspace / FOLDER / LOCK).read_text()), signal.SIGTERM)


def unfinished(workspace: Path) -> Retraining | None:
    """Return the retraining that a killed process left unfinished; None if there is none."""
    last = last_run(workspace)
    return None if last is None or last.state.stage.ended else last


def is_due(workspace: Workspace, settings: Settings) -> bool:
    """Whether it is time to retrain: one is unfinished, or enough masks were accepted since."""
    if unfinished(workspace.root) is not None:
        return True
    if not settings.retrain_masks:
        return False
    done, last = set(), last_run(workspace.root)
    if last is not None:
        if datetime.now(UTC) - last.state.begun < timedelta(hours=settings.retrain_hours):
            return False
        done = {(mask.clip, mask.frame, mask.sha256) for mask in last.snapshot.masks}
    now = {(mask.clip, mask.frame, mask.sha256) for mask in accepted_masks(workspace)[1]}
    return len(now - done) >= settings.retrain_masks


class Retrainer:
    """Starts retrainings, each as a process of its own, so that a crash ends nothing else.

    Args:
        workspace: the clips and masks.
        settings: when to retrain and how; the process gets them through the environment.
    """

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace, self._settings = workspace, settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pauses_masking(self) -> bool:
        """Whether masks have to wait now for a retraining."""
        return self._settings.train_pauses and is_running(self._workspace.root)

    def start_if_due(self) -> bool:
        """Start a retraining if it is time; return whether one was started."""
        return is_due(self._workspace, self._settings) and self.start()

    def start(self) -> bool:
        """Start a retraining unless one runs; return whether one was started."""
        if self._process is not None and self._process.poll() is None:
            return False
        if is_running(self._workspace.root):
            return False
        folder = self._workspace.root / FOLDER
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "backend", "-w", str(self._workspace.root.resolve())]
        with (folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "train", "--from-workspace"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # it outlives a restart of the worker
            )
        return True


def _try(handle: int, how: int) -> bool:
    """Try to lock a file, exclusively or shared; return whether that succeeded."""
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
