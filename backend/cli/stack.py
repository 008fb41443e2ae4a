"""Starts Label Studio, the service and the worker together on one machine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from backend.settings import Settings
from backend.studio.local import FOLDER, LocalStudio, answers, end, install, tools_folder
from backend.studio.running import Running
from backend.work.training_runs import end_running
from labeler.errors import LabelerError
from labeler.files import lock_if_dead, one_at_a_time

SERVICE_SECONDS = 60.0

PAUSE = 2.0
"""Seconds before a part that has ended is started again, so that it cannot restart in a loop."""


class Stack:
    """Label Studio, the service and the worker, each a process of its own on the loopback.

    Args:
        root: the workspace.
        studio: Label Studio, which serves the workspace's clips.
        port: the port of the service.
        worker_options: the options of `mvps worker`.
    """

    def __init__(
        self, root: Path, studio: LocalStudio, port: int, worker_options: list[str]
    ) -> None:
        self.studio = studio
        self.backend = f"http://127.0.0.1:{port}"
        self._root = root
        served = str(studio.document_root)
        self.environment = os.environ | {
            "MVPS_WORKSPACE": str(root),
            "MVPS_STUDIO_WORKSPACE": served,
            "MVPS_BACKEND_URL": self.backend,
            "LABEL_STUDIO_URL": studio.url,
            "LABEL_STUDIO_API_KEY": studio.login.token,
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": served,
        }
        self._commands = {"serve": ["--port", str(port)], "worker": worker_options}
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def place(self) -> Running:
        """Where other commands find all of it."""
        root = self.environment["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"]
        seen = self.environment.get("MVPS_STUDIO_WORKSPACE", self.environment["MVPS_WORKSPACE"])
        return Running(self.studio.url, self.backend, root, seen)

    def start(self) -> None:
        """Start the parts in turn and connect them.

        Raises:
            LabelerError: a part cannot be started; the message says which and why.
        """
        self.studio.start()
        self.start_child("serve")
        self._wait_for_service()
        self.run("studio", "connect")
        self.start_child("worker")

    def stop(self) -> None:
        """End all parts, the ones that others depend on last."""
        for child in reversed(self.children.values()):
            end(child)
        end_running(self._root)  # a retraining outlives its worker
        self.studio.stop()

    def start_child(self, name: str) -> None:
        """Start the service (`serve`) or the `worker`."""
        command = [sys.executable, "-m", "backend", name, *self._commands[name]]
        self.log(name).touch(mode=0o600)  # what it logs is nobody else's business
        with self.log(name).open("ab") as log:
            self.children[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def revive(self) -> list[str]:
        """Restart the parts that have ended by themselves; return their names."""
        ended = [name for name, child in self.children.items() if child.poll() is not None]
        if ended:
            time.sleep(PAUSE)
        for name in ended:
            self.start_child(name)
        return ended

    def log(self, name: str) -> Path:
        """Return the path of a part's log."""
        return self.studio.folder / f"{name}.log"

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run a command of `mvps` on this workspace and service, and return what it prints.

        Raises:
            LabelerError: the command fails, and `check` is true.
        """
        done = subprocess.run(
            [sys.executable, "-m", "backend", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise LabelerError(done.stderr.strip().removeprefix("mvps: "))
        return done.stdout

    def _wait_for_service(self) -> None:
        deadline = time.monotonic() + SERVICE_SECONDS
        while not answers(f"{self.backend}/health"):
            if self.children["serve"].poll() is not None or time.monotonic() > deadline:
                log = self.log("serve")
                raise LabelerError(
                    f"The service did not start; the end of {log} says why:\n"
                    + log.read_text(errors="replace")[-2000:]
                )
            time.sleep(0.1)


@contextmanager
def running(
    settings: Settings, worker_options: list[str], tell: Callable[[str], None]
) -> Iterator[Stack]:
    """Start everything, and end all of it afterwards.

    Args:
        settings: the workspace, whose clips Label Studio serves.
        worker_options: the options of `mvps worker`.
        tell: called with a sentence before each step that takes a while.

    Raises:
        LabelerError: a part cannot be installed or started; the message says which and why.
    """
    root, tools = settings.workspace.resolve(), tools_folder()
    with ExitStack() as at_the_end:
        # Two stacks that start at once would install into one folder and choose the same ports.
        with one_at_a_time(tools.parent / "starting.lock"):
            install(tools)
            studio_port, service_port = (
                at_the_end.enter_context(claimed_port(preferred, tools.parent))
                for preferred in (8080, 9090)
            )
            studio = LocalStudio(root / FOLDER, root / "clips", studio_port, tools)
            stack = Stack(root, studio, service_port, worker_options)
            tell("Starting Label Studio, the service and the worker.")
            at_the_end.callback(stack.stop)
            stack.start()
        yield stack


@contextmanager
def claimed_port(preferred: int, folder: Path) -> Iterator[int]:
    """Claim the preferred port, or the next one above it that is neither in use nor claimed.

    The claim lasts until the context ends: while a stack restarts its service, the port looks
    free, and another stack would take it.

    Args:
        preferred: the port to begin with.
        folder: where claims are kept, the same for all stacks of a user.

    Raises:
        LabelerError: a hundred ports are in use.
    """
    for port in range(preferred, preferred + 100):
        claim = folder / f"port-{port}.lock"
        claim.touch()
        with lock_if_dead(claim) as ours:
            if ours and _nobody_listens(port):
                yield port
                return
    raise LabelerError(f"Ports {preferred} to {preferred + 99} are all in use; end a program.")


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
