"""`mvps` as a person types it, each command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from labeler.workspace.integrity import open_workspace
from labeler.workspace.workspace import Workspace
from tests.signals import hear_signals

MVPS = [sys.executable, "-m", "backend"]


class Terminal:
    """`mvps` in one workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("MVPS_")}

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*MVPS, "-w", str(self.root), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            preexec_fn=hear_signals,
        )

    def run(self, *arguments: str | Path, expect: int = 0) -> tuple[str, str]:
        process = self.start(*arguments)
        out, err = process.communicate()
        assert process.returncode == expect, out + err
        assert "Traceback" not in err
        return out, err

    def workspace(self) -> Workspace:
        return open_workspace(self.root)[0]
