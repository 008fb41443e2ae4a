"""Export a workspace in some layout and be killed with SIGKILL when the last file is written.

Run as a script: `python -m tests.labeler.kill_while_converting WORKSPACE TARGET LAYOUT`.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

from labeler.layouts.layout import Layout
from labeler.publish.export import export_mvps
from labeler.publish.other_layouts import export_as
from labeler.workspace.workspace import Workspace


def main(root: Path, target: Path, layout: Layout) -> None:
    def die(done: int, total: int) -> None:
        if done == total:
            os.kill(os.getpid(), signal.SIGKILL)

    export_as(layout, target, partial(export_mvps, Workspace(root)), die)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Layout(sys.argv[3]))
