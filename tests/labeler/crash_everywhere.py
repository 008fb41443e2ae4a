"""Kill a process at every line of an action, and look at what the next start finds.

Run as a script: `python crash_everywhere.py FOLDER record|add`. For n = 1, 2, ... it forks a
child that performs the action on a fresh workspace and kills itself with SIGKILL before the n-th
line of labeler code, until a child survives to the end. It prints one JSON line per n.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from labeler.revision import Draft, Provenance
from labeler.workspace.integrity import faults, open_workspace
from labeler.workspace.workspace import Workspace
from tests.labeler.killed import killed_before
from tests.workspaces import file_bytes, make_clip, square


def main(folder: Path, action: str) -> None:
    base = folder / "base"
    workspace = Workspace(base)
    clip = make_clip(workspace, frame_count=6)
    workspace.record(clip, 0, square(0), Draft("ann"))
    workspace.close()
    kept = file_bytes(base / "clips")
    survived = False
    line = 0
    while not survived:
        line += 1
        root = folder / "trial"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(base, root)
        child = os.fork()
        if child == 0:
            perform(root, action, line)
        _, status = os.waitpid(child, 0)
        survived = not os.WIFSIGNALED(status)
        print(json.dumps({"line": line, "survived": survived, **found(root, kept)}), flush=True)


def perform(root: Path, action: str, line: int) -> None:
    workspace, mask = Workspace(root), square(5)
    if action == "record":
        killed_before(line, lambda: workspace.record(workspace.clip("walk"), 5, mask, Draft("ann")))
    killed_before(line, lambda: make_clip(workspace, "new", frame_count=2))


def found(root: Path, kept: dict[str, bytes]) -> dict[str, Any]:
    half = sorted(path.name for path in (root / "pending").iterdir())
    workspace, notices = open_workspace(root)
    now = file_bytes(root / "clips")
    result = {
        "pending_before": half,
        "pending_after": sorted(path.name for path in (root / "pending").iterdir()),
        "notices": notices,
        "faults": faults(workspace, deep=True),
        "lost": [path for path in kept if now.get(path) != kept[path]],
        "clips": [clip.name for clip in workspace.clips()],
        "masks": [
            [revision.frame, revision.number, revision.author]
            for revision in workspace.revisions(workspace.clip("walk"))
            if revision.provenance is Provenance.CORRECTED
        ],
        "again": open_workspace(root)[1],
    }
    workspace.close()
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
