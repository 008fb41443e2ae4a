"""The demo that runs on a workspace, if one does: where it is, for the other commands."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from backend.credentials import keep_secret
from backend.settings import Settings
from backend.studio.local import FOLDER, LOGIN
from labeler.errors import LabelerError
from labeler.files import lock_if_dead

CLAIM, ADDRESSES = "running.lock", "running.json"
"""Files in the folder of Label Studio: one is locked as long as a demo runs, one says where."""

TRIES, PAUSE = 20, 0.05
"""How often a claim is tried, seconds apart: `find_running` holds the lock for a moment, too."""


@dataclass(frozen=True)
class Running:
    """Where a demo runs.

    `studio` and `backend` are the addresses of Label Studio and of the service. `document_root` is
    the folder that Label Studio serves files from, and `workspace` the workspace as it sees it.
    """

    studio: str
    backend: str
    document_root: str
    workspace: str


@contextmanager
def claimed(workspace: Path) -> Iterator[Callable[[Running], None]]:
    """Claim a workspace for one demo; yield a function that tells other commands where it runs.

    The claim ends with the block, or with the process.

    Raises:
        LabelerError: a demo runs on the workspace already; the message says at which address.
    """
    folder = workspace / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    claim, addresses = folder / CLAIM, folder / ADDRESSES
    claim.touch(mode=0o600)
    for attempt in range(TRIES):
        with lock_if_dead(claim) as ours:
            if ours:
                addresses.unlink(missing_ok=True)
                try:
                    yield lambda told: keep_secret(addresses, asdict(told))
                finally:
                    addresses.unlink(missing_ok=True)
                return
        if attempt < TRIES - 1:
            time.sleep(PAUSE)
    found = _addresses(addresses)
    if found is None:
        raise LabelerError(
            f"A demo of {workspace} is already starting; wait until it says where to label."
        )
    raise LabelerError(
        f"A demo of {workspace} runs already: label at {found.studio}/, its status is at "
        f"{found.backend}/. End it with Ctrl-C there before you start another."
    )


def find_running(workspace: Path) -> Running | None:
    """Return where the demo of a workspace runs; None if none does, or it is still starting."""
    claim = workspace / FOLDER / CLAIM
    with lock_if_dead(claim) as dead:
        if dead or not claim.exists():
            return None
    return _addresses(workspace / FOLDER / ADDRESSES)


def with_running(settings: Settings) -> Settings:
    """Return the settings, with those of the demo that runs on the workspace where none are given.

    A token, or another address of Label Studio, that the environment names is left alone.
    """
    if settings.studio_key:
        return settings
    found = find_running(settings.workspace)
    if found is None or ("studio_url" in settings.model_fields_set):
        return settings
    try:
        token = json.loads((settings.workspace / FOLDER / LOGIN).read_text())["token"]
    except (OSError, ValueError, KeyError, TypeError):  # another user's demo
        return settings
    told = {
        "studio_url": found.studio,
        "studio_key": token,
        "backend_url": found.backend,
        "document_root": Path(found.document_root),
        "studio_workspace": Path(found.workspace),
    }
    return settings.model_copy(update=told)


def _addresses(path: Path) -> Running | None:
    try:
        return Running(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
