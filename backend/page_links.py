"""Secret links to a clip's page, for people who have no login at the service."""

import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import quote

from backend.credentials import keep_secret
from labeler.errors import LabelerError

FILE = "page-key.json"
"""The key of all links, in the workspace; when it is deleted and made again, old links end."""


def page_key(workspace: Path) -> str:
    """Return the key that makes links to pages; it is made at the first call.

    Raises:
        LabelerError: the file is damaged.
    """
    path = workspace / FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        keep_secret(path, {"key": secrets.token_urlsafe(32)})
    try:
        key = json.loads(path.read_text())["key"]
    except (OSError, ValueError, KeyError, TypeError):
        key = None
    if not isinstance(key, str) or len(key) < 32:
        raise LabelerError(
            f"{path} has no key of links to pages; delete it, and it is made again. Links that "
            "were given out before then no longer work."
        )
    return key


def page_token(key: str, clip: str) -> str:
    """Return what a link must hold to open a clip's page; it opens no other clip's page."""
    digest = hmac.digest(key.encode(), f"page of clip {clip}".encode(), "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")


def page_path(key: str, clip: str) -> str:
    """Return the link to a clip's page, without the address of the service."""
    return f"/clips/{quote(clip, safe='')}?key={page_token(key, clip)}"
