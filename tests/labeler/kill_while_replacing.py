"""Kill a process at every line of replacing a folder, and look at what the next start finds.

Run as a script: `python -m tests.labeler.kill_while_replacing FOLDER`. For n = 1, 2, ... it forks
a child that replaces a folder and kills itself with SIGKILL before the n-th line of labeler code,
until a child survives to the end. It prints one JSON line per n.
"""

import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from labeler.files import replacing
from tests.labeler.killed import killed_before


def main(folder: Path) -> None:
    survived = False
    line = 0
    while not survived:
        line += 1
        shutil.rmtree(folder, ignore_errors=True)
        target = folder / "set"
        target.mkdir(parents=True)
        (target / "old").touch()
        child = os.fork()
        if child == 0:
            killed_before(line, partial(replace, target))
        _, status = os.waitpid(child, 0)
        survived = not os.WIFSIGNALED(status)
        killed = names(target)
        try:
            with replacing(target):
                next_start = names(target)
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        result = {
            "killed": killed,
            "next_start": next_start,
            "left": sorted(path.name for path in folder.iterdir()),
        }
        print(json.dumps({"survived": survived, **result}), flush=True)


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.iterdir()) if target.exists() else ["none"]


def replace(target: Path) -> None:
    with replacing(target) as folder:
        (folder / "new").touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
