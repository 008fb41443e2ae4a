"""The names and secrets by which Label Studio and the backend know each other."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from backend.settings import Settings
from labeler.errors import LabelerError
from labeler.files import write_once

FILE = "credentials.json"

SECRET_HEADER = "X-MVPS-Secret"
"""The HTTP header in which Label Studio's webhook sends the secret."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """What Label Studio must send to the backend; never written to a log or a page."""

    user: str
    password: str
    webhook_secret: str


def credentials(settings: Settings) -> Credentials:
    """Read the credentials from the settings, and those missing there from the workspace's file.

    If there is no file, it is made with random secrets. Only its owner can read it.

    Raises:
        LabelerError: the file is damaged.
    """
    path = settings.workspace / FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Credentials("mvps", secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        keep_secret(path, asdict(made))
    try:
        kept = Credentials(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise LabelerError(
            f"{path} cannot be read ({error}); delete it and run `mvps studio connect` again."
        ) from None
    return Credentials(
        settings.basic_auth_user or kept.user,
        settings.basic_auth_pass or kept.password,
        settings.webhook_secret or kept.webhook_secret,
    )


def keep_secret(path: Path, fields: Mapping[str, str]) -> None:
    """Write a JSON file that only its owner can ever read; an existing file stays as it is."""
    write_once(path, json.dumps(fields, indent=2) + "\n")
