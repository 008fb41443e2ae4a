"""Kill a process at every step of taking up an event, and let the next one finish.

Run as a script: `python -m tests.backend.crash_while_taking FOLDER submit|delete`. It finds the
lines of our code before which something on disk is not as it was a line earlier: a kill between
two of them leaves what a kill at the first does. For each it forks a child that takes up the one
pending event of a fresh workspace and kills itself with SIGKILL there, and at last one that
survives. It prints one JSON line per child.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import backend
from backend.store.inbox import EventState, Inbox
from backend.work.submissions import Submissions
from labeler.workspace.integrity import faults, open_workspace
from labeler.workspace.workspace import Workspace
from tests.backend.webhooks import deletion, submission
from tests.labeler.killed import CODE, killed_before, watch_lines
from tests.workspaces import file_bytes, make_clip, square

OURS = (str(Path(backend.__file__).parent), CODE)


def main(folder: Path, what: str) -> None:
    base = folder / "base"
    workspace = Workspace(base)
    make_clip(workspace, frame_count=1)
    inbox = Inbox(workspace.database)
    inbox.put(submission(square(0), frame=0, annotation=6))
    if what == "delete":
        Submissions(workspace, inbox, str).take_all()
        inbox.put(deletion(6))
    workspace.close()
    steps = folder / "steps.json"
    in_a_child(base, folder / "trial", partial(find_steps, steps))
    for step in [*json.loads(steps.read_text()), 10**9]:
        status = in_a_child(
            base,
            folder / "trial",
            lambda root, step=step: killed_before(step, taking(root), OURS),
        )
        survived = not os.WIFSIGNALED(status)
        print(json.dumps({"step": step, "survived": survived, **found(folder / "trial")}))


def in_a_child(base: Path, root: Path, act: Callable[[Path], object]) -> int:
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(base, root)
    child = os.fork()
    if child == 0:
        act(root)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def taking(root: Path) -> Callable[[], object]:
    """Taking up the one pending event, to be called."""
    workspace = Workspace(root)
    inbox = Inbox(workspace.database)
    (event,) = inbox.pending()
    return partial(Submissions(workspace, inbox, str).take, event)


def find_steps(steps: Path, root: Path) -> None:
    seen: list[str] = []
    changed: list[int] = []

    def watch(line: int) -> None:
        if seen[-1:] != [now := fingerprint(root)]:
            changed.append(line)
            seen.append(now)

    watch_lines(watch, taking(root), OURS)
    steps.write_text(json.dumps(changed))


def fingerprint(root: Path) -> str:
    """Everything below a folder but what SQLite keeps for living processes only."""
    files = {name: data for name, data in file_bytes(root).items() if not name.endswith("-shm")}
    folders = sorted(str(path) for path in root.rglob("*"))
    return hashlib.sha256(repr((files, folders)).encode()).hexdigest()


def found(root: Path) -> dict[str, Any]:
    """What the killed child left of the event, and how things are after the next start."""
    workspace, _ = open_workspace(root)
    inbox = Inbox(workspace.database)
    left = inbox.listed(*EventState)[-1].state
    Submissions(workspace, inbox, str).take_all()
    clip = workspace.clip("walk")
    again = {
        "revisions": [each.to_note() for each in workspace.revisions(clip)],
        "counts": sorted(workspace.current(clip)),
        "files": {
            name: data.hex()
            for name, data in file_bytes(workspace.clip_folder("walk") / "masks").items()
        },
        "events": [event.state for event in inbox.listed(*EventState)],
        "faults": faults(workspace, deep=True),
        "pending": sorted(path.name for path in workspace.pending.iterdir()),
    }
    workspace.close()
    return {"left": left, "again": again}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
