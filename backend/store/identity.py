"""Which workspace this is: what Label Studio and Redis know it by, and who works on it."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from backend.store.facts import ALIVE, WORKER_ALIVE, Facts
from labeler.errors import LabelerError
from labeler.files import lock_if_dead, write_once

FILE = "identity"
"""A file of the workspace: it moves with the workspace, and no other has the same."""

LOCK = "worker.lock"


def identity_of(root: Path) -> str:
    """Return the workspace's identity, 16 hex digits, which is made at first."""
    path = root / FILE
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        write_once(path, secrets.token_hex(8) + "\n")
    found = path.read_text(errors="replace").strip()
    if len(found) != 16 or not found.isalnum():
        raise LabelerError(f"{path} is damaged; remove it, and run `mvps studio connect`.")
    return found


def process_name() -> str:
    """Return how other machines know this process: the machine's name and the process's number."""
    return f"{socket.gethostname()}, process {os.getpid()}"


@contextmanager
def only_worker(root: Path, facts: Facts) -> Iterator[None]:
    """Be the workspace's only worker while the block runs.

    Raises:
        LabelerError: another worker is at work, on this machine or on another one.
    """
    heard = facts.get(WORKER_ALIVE)
    name = "another process" if heard is None or not heard[0] else heard[0]
    refusal = (
        f"{root} has a worker already ({name}); one is enough, and two would do the same work. "
        "End that one first."
    )
    path = root / LOCK
    path.touch(mode=0o600)
    with lock_if_dead(path) as ours:
        if not ours:
            raise LabelerError(refusal)
        if heard is not None and datetime.now(UTC) - heard[1] < ALIVE:
            host = heard[0].partition(",")[0]
            # On this machine the lock says that it is dead.
            if host not in ("", socket.gethostname()):
                raise LabelerError(refusal)
        yield
