"""What somebody who is not the owner of Label Studio can and cannot do."""

import stat

import httpx
import pytest

from tests.studio.annotator import Annotator, another_user


def client_of(annotator: Annotator, token: str | None = None) -> httpx.Client:
    headers = {"Authorization": f"Token {token}"} if token else {}
    return httpx.Client(base_url=annotator.stack.studio.url, headers=headers)


def test_a_stranger_cannot_sign_up(annotator: Annotator) -> None:
    with client_of(annotator) as client:
        client.get("/user/signup/")
        form = {
            "email": "stranger@example.org",
            "password": "a-password-1",
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        }
        headers = {"Referer": annotator.stack.studio.url}
        answer = client.post("/user/signup/", data=form, headers=headers)
        assert answer.status_code == 403
        assert client.get("/api/current-user/whoami").status_code == 401


def test_pictures_are_served_and_nothing_else(annotator: Annotator) -> None:
    """Any annotator may add a storage; none may lead out of the clips."""
    root = annotator.workspace.root.resolve()
    token = another_user(annotator.stack, "curious@example.org")
    with client_of(annotator, token) as client:
        picture = annotator.data("walk", 0)["image"]
        assert client.get(picture).headers["content-type"] == "image/jpeg"
        for folder in (root, root / "label-studio", root / "label-studio" / "served", "/etc"):
            made = client.post(
                "/api/storages/localfiles/",
                json={"project": annotator.project, "path": str(folder), "use_blob_urls": True},
            )
            assert made.status_code == 400, folder
        for secret in ("credentials.json", "label-studio/login.json", "../login.json", "mvps.db"):
            assert client.get("/data/local-files/", params={"d": secret}).status_code >= 400


def test_nobody_else_on_the_machine_reads_its_files(annotator: Annotator) -> None:
    folder = annotator.stack.studio.folder
    annotator.data("walk", 0)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("url", ["http://127.0.0.2:9090", "http://169.254.169.254/latest"])
def test_no_other_private_address_can_be_asked(annotator: Annotator, url: str) -> None:
    with client_of(annotator, annotator.stack.studio.login.token) as client:
        for path in ("/api/ml", "/api/webhooks/"):
            asked = {"project": annotator.project, "url": url}
            answer = client.post(path, json=asked)
            assert answer.status_code in (400, 403), answer.text
