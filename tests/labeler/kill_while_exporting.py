"""Export a workspace and be killed with SIGKILL at a given step.

Run as a script: `python -m tests.labeler.kill_while_exporting WORKSPACE TARGET STEP`.
"""

import os
import signal
import sys
from pathlib import Path

from labeler.publish.export import export_mvps
from labeler.workspace.workspace import Workspace


def main(root: Path, target: Path, step: int) -> None:
    def die(done: int, total: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    export_mvps(Workspace(root), target, progress=die)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
