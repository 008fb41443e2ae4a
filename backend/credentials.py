"""The names and secrets by which Label Studio and the backend know each other."""

import json
import os
import secrets
from dataclasses import asdict, dataclass

from backend.settings import Settings
from labeler.errors import LabelerError
from labeler.files import write_atomically

FILE = "credentials.json"


@dataclass(frozen=True, repr=False)
class Credentials:
    """What Label Studio must show to the backend; never written to a log or a page."""

    user: str
    password: str
    webhook_secret: str


def credentials(settings: Settings) -> Credentials:
    """Take them from the settings, and what is not said there from a file in the workspace.

    The file is made with random secrets where there is none; only its owner can read it.

    Raises:
        LabelerError: the file is damaged.
    """
    path = settings.workspace / FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Credentials("mvps", secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        before = os.umask(0o077)
        try:
            write_atomically(path, (json.dumps(asdict(made), indent=2) + "\n").encode())
            path.chmod(0o600)
        finally:
            os.umask(before)
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
