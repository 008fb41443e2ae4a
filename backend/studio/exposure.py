"""Finds what a Label Studio shows to people whom it should not show it to."""

from collections.abc import Iterator
from pathlib import Path

import httpx

from backend.credentials import FILE
from backend.studio.local import FOLDER, is_private

SECONDS = 5.0

SERVE_CLIPS = (
    "serve a folder that holds nothing but a link to the clips; docs/security.md has the commands"
)


def exposed_files(workspace: Path, document_root: Path | None) -> Iterator[tuple[str, str]]:
    """Yield what others could read of the secrets on this disk, each with what to do about it.

    Args:
        workspace: the workspace's folder.
        document_root: the folder that Label Studio serves files from, if it is on this machine.
    """
    own = workspace / FOLDER
    if own.is_dir():
        for path in (own, *sorted(own.glob("*.sqlite3")), *sorted(own.glob("*.json"))):
            if not is_private(path):
                fix = f"chmod -R go= {own}; `mvps demo` does so when it starts"
                yield f"other users of this machine can read {path}", fix
                break
    kept = workspace / FILE
    if kept.exists() and not is_private(kept):
        yield f"other users of this machine can read {kept}", f"chmod 600 {kept}"
    if document_root is None or not document_root.is_dir():
        return
    root, served = document_root.resolve(), workspace.resolve()
    # Label Studio refuses a storage of the document root itself, but not of a folder below it.
    if root != served and served.is_relative_to(root):
        yield f"any annotator of Label Studio can read {workspace / FILE} and mvps.db", SERVE_CLIPS
    for database in own.glob("*.sqlite3"):
        if database.resolve().is_relative_to(root):
            yield f"any annotator of Label Studio can read {database}, with all tokens", SERVE_CLIPS
            break


def is_signup_open(url: str) -> bool:
    """Whether a stranger can make an account in a Label Studio; no account is made.

    The form that is sent names nobody: where sign-up is closed it is refused before it is read.
    """
    try:
        with httpx.Client(base_url=url, timeout=SECONDS) as client:
            client.get("/user/signup/")
            form = {"csrfmiddlewaretoken": client.cookies.get("csrftoken", "")}
            return client.post("/user/signup/", data=form, headers={"Referer": url}).is_success
    except httpx.HTTPError:
        return False  # another check says that it does not answer
