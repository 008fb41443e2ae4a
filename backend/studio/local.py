"""Installs and runs a private Label Studio on this machine, in its own virtual environment."""

import ipaddress
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


SERVED = "served"
"""The folder from which a private Label Studio serves files. It holds nothing but a link to the
workspace's clips, so no storage that somebody adds can reach secrets, databases or logs."""


class LocalStudio:
    """One Label Studio on the loopback, which serves the clips of a workspace and nothing else.

    Nobody signs up without a link from its owner, and only the owner of its files reads them.

    Args:
        folder: where it keeps its database, its log and the login.
        clips: the folder with the workspace's clips.
        port: to listen on.
        tools: where it is installed.
    """

    def __init__(self, folder: Path, clips: Path, port: int, tools: Path) -> None:
        self.folder, self.tools = folder, tools
        self.document_root = folder / SERVED
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        make_private(folder)
        _link(self.document_root / "clips", clips)
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
            database.touch(mode=0o600)
            shutil.copyfile(self.tools / EMPTY, database)
        given = {
            "LABEL_STUDIO_USERNAME": self.login.email,
            "LABEL_STUDIO_PASSWORD": self.login.password,
            "LABEL_STUDIO_USER_TOKEN": self.login.token,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        }
        environment = os.environ | _environment(self.folder, self.url, self.document_root) | given
        command = [str(self.tools / "bin" / "label-studio"), "start", "--no-browser"]
        command += ["--internal-host", "127.0.0.1", "--port", str(self._port)]
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
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


def make_private(folder: Path) -> None:
    """Let only the owner read and write a folder and everything in it; links are not followed."""
    for place, folders, files in os.walk(folder):
        os.chmod(place, 0o700)
        for name in (*folders, *files):
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)


def is_private(path: Path) -> bool:
    """Whether only its owner can read a file or enter a folder."""
    return path.stat().st_mode & 0o077 == 0


def _link(link: Path, folder: Path) -> None:
    """Let a link lead to a folder; it is relative, so it stays right when both are moved."""
    link.parent.mkdir(mode=0o700, exist_ok=True)
    wanted = os.path.relpath(folder.resolve(), link.parent.resolve())
    if not link.is_symlink() or os.readlink(link) != wanted:
        link.unlink(missing_ok=True)
        link.symlink_to(wanted)


def banned_networks(allowed: str) -> str:
    """Return the private and reserved networks less one address, for Label Studio's environment.

    Label Studio sends requests to addresses that its users type. It must reach our service, and
    nothing else that only this machine or its network can reach.

    >>> "127.0.0.0/32" in banned_networks("127.0.0.1").split(",")
    True
    """
    free = ipaddress.ip_network(allowed)
    found: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    for each in map(ipaddress.ip_network, RESERVED):
        if isinstance(each, ipaddress.IPv4Network) and isinstance(free, ipaddress.IPv4Network):
            found += each.address_exclude(free) if free.subnet_of(each) else [each]
        else:
            found.append(each)
    return ",".join(map(str, found))


RESERVED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
    *("::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "fc00::/7", "fe80::/10", "ff00::/8"),
)
"""Networks of IANA's registries that are not the public internet."""


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
        # It sends requests to our service on this machine, and to no other private address.
        "ML_BLOCK_LOCAL_IP": "true",
        "SSRF_PROTECTION_ENABLED": "true",
        "USE_DEFAULT_BANNED_SUBNETS": "false",
        "USER_ADDITIONAL_BANNED_SUBNETS": banned_networks("127.0.0.1"),
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
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
