"""Installs and runs a private Label Studio on this machine, in its own virtual environment."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from backend.credentials import keep_secret
from backend.studio.packages import install_packages
from labeler.console import note, progress
from labeler.errors import LabelerError

VERSION = "1.23.2"
"""The Label Studio that this tool was tested with."""

EMPTY = "empty.sqlite3"
"""A database with empty tables, to be copied: Label Studio takes a minute to make one."""

FOLDER, LOGIN = "label-studio", "login.json"
"""A workspace's folder for its private Label Studio, and the file in it with the login."""

START_SECONDS = 240.0


def tools_folder() -> Path:
    """Return the folder of the installed Label Studio, one for all workspaces of this user."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "mvps-labeler" / f"label-studio-{VERSION}"


@dataclass(frozen=True, repr=False)
class Login:
    """A person's e-mail address and password, and the token for programs."""

    email: str
    password: str
    token: str


PACKAGES = 115
"""How many packages Label Studio of this version comes with, for the time that is left."""


def install(folder: Path) -> None:
    """Install Label Studio into `folder` unless it is there; about two minutes and 1 GB.

    What it does meanwhile is told on stderr.

    Raises:
        LabelerError: pip fails; its last lines say why.
    """
    ready = folder / EMPTY
    if ready.exists():
        return
    note(f"Installing Label Studio {VERSION} into {folder}, once: about two minutes and 1 GB.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(folder)], os.environ)
    with progress("packages of Label Studio", PACKAGES) as update:
        install_packages(folder / "bin" / "python", [f"label-studio=={VERSION}"], note, update)
    note("  making its empty database, the last step: about a minute")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        [manage] = folder.glob("lib/python3*/site-packages/label_studio/manage.py")
        environment = _environment(Path(scratch), "http://127.0.0.1:8080", Path(scratch))
        migrate = [str(folder / "bin" / "python"), str(manage), "migrate", "--no-input"]
        _run(migrate, os.environ | environment)
        made = Path(scratch) / "label_studio.sqlite3"
        made.replace(ready)  # last: a folder with this file is complete


class LocalStudio:
    """One Label Studio on the loopback, which serves files below a document root.

    Args:
        folder: where it keeps its database, its log and the login.
        document_root: what it serves files from.
        port: to listen on.
        tools: where it is installed.
    """

    def __init__(self, folder: Path, document_root: Path, port: int, tools: Path) -> None:
        self.folder, self.document_root, self.tools = folder, document_root, tools
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.login = _login(folder / LOGIN)

    @property
    def log(self) -> Path:
        """The file that its output goes to."""
        return self.folder / "label-studio.log"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            LabelerError: it ends or does not answer in time; its log says why.
        """
        database = self.folder / "label_studio.sqlite3"
        if not database.exists():
            shutil.copy(self.tools / EMPTY, database)
        given = {
            "LABEL_STUDIO_USERNAME": self.login.email,
            "LABEL_STUDIO_PASSWORD": self.login.password,
            "LABEL_STUDIO_USER_TOKEN": self.login.token,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        }
        environment = os.environ | _environment(self.folder, self.url, self.document_root) | given
        command = [str(self.tools / "bin" / "label-studio"), "start", "--no-browser"]
        command += ["--internal-host", "127.0.0.1", "--port", str(self._port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{self.url}/health"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabelerError(
                    f"Label Studio did not start; the end of {self.log} says why:\n"
                    + self.log.read_text(errors="replace")[-2000:]
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            end(self._process)
            self._process = None


def answers(url: str, seconds: float = 2.0) -> bool:
    """Whether a server answers at this address with anything but an error of its own (5xx)."""
    try:
        with urllib.request.urlopen(url, timeout=seconds):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def end(process: subprocess.Popen[bytes], seconds: float = 10.0) -> None:
    """Ask a process to end, and kill it if it has not ended after some seconds."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _environment(folder: Path, url: str, document_root: Path) -> dict[str, str]:
    """Settings for a Label Studio that talks to nobody outside of this machine."""
    return {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_HOST": url,
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(document_root),
        # Else it refuses backends and webhooks on this machine or in a private network.
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LATEST_VERSION_CHECK": "false",
        "ML_TIMEOUT_HEALTH": "5",
        "ML_TIMEOUT_SETUP": "10",
        "WEBHOOK_TIMEOUT": "5",
    }


def _login(path: Path) -> Login:
    if not path.exists():
        made = Login("you@localhost.example", secrets.token_urlsafe(9), secrets.token_hex(20))
        keep_secret(path, asdict(made))
    return Login(**json.loads(path.read_text()))


def _run(command: list[str], environment: "os._Environ[str] | dict[str, str]") -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabelerError(
            f"{' '.join(command)} failed; fix what it reports and try again:\n"
            + (done.stdout + done.stderr)[-2000:]
        )


if __name__ == "__main__":
    install(tools_folder())
