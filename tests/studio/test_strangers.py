"""What somebody who is not the owner of Label Studio can and cannot do."""

import stat
from pathlib import Path

import httpx
import pytest

from backend.studio.exposure import is_signup_open
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace
from tests.studio.annotator import Annotator, another_user
from tests.studio.conftest import SIZE
from tests.workspaces import make_clip, square


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


def test_a_second_workspace_takes_over_nothing(annotator: Annotator, tmp_path: Path) -> None:
    """It has projects of the same titles, as it has the same settings."""
    stack = annotator.stack
    before = dict(stack.environment)
    hooks = [each.dict() for each in annotator.api.webhooks.list(project=str(annotator.project))]
    other = Workspace(tmp_path / "other")
    make_clip(other, "dance", 11)
    other.close()
    seen = {"MVPS_WORKSPACE": str(other.root), "MVPS_BACKEND_URL": "http://127.0.0.1:9"}
    seen |= {"MVPS_STUDIO_WORKSPACE": before["MVPS_STUDIO_WORKSPACE"]}
    try:
        stack.environment.update(seen)
        with pytest.raises(LabelerError, match="belongs to another workspace") as told:
            stack.run("studio", "connect")
        assert "MVPS_PROJECT" in str(told.value)
        assert "--take-over" in str(told.value)
    finally:
        stack.environment.clear()
        stack.environment.update(before)
    listed = annotator.api.webhooks.list(project=str(annotator.project))
    assert [each.dict() for each in listed] == hooks
    assert stack.run("studio", "connect").startswith("Everything is as it should be.")


def test_what_a_stranger_tells_the_webhook_changes_nothing(annotator: Annotator) -> None:
    """The secret is no secret: any annotator reads it in Label Studio's list of webhooks."""
    annotator.submit("walk", 5, square(1, SIZE))
    annotator.wait_until_quiet()
    clip = annotator.workspace.clip("walk")
    [revision] = [r for r in annotator.workspace.revisions(clip, 5) if r.provenance.human]
    token = another_user(annotator.stack, "spy@example.org")
    with client_of(annotator, token) as client:
        hooks = client.get("/api/webhooks/", params={"project": annotator.project}).json()
        secret = hooks[0]["headers"]
    task = annotator.tasks["walk", 5]
    [annotation] = annotator.studio.annotations(task)
    forged = {
        "action": "ANNOTATION_UPDATED",
        "project": {"id": annotator.project},
        "task": {"id": task, "data": annotator.data("walk", 5)},
        "annotation": annotation
        | {"project": annotator.project, "updated_at": "9999-01-01T00:00:00Z", "result": []},
    }
    for payload in (
        forged,
        forged | {"annotation": forged["annotation"] | {"id": 987654, "updated_by": 1}},
        {
            "action": "ANNOTATIONS_DELETED",
            "project": {"id": annotator.project},
            "annotations": [{"id": annotation["id"]}],
        },
    ):
        url = f"{annotator.stack.backend}/webhook"
        assert httpx.post(url, json=payload, headers=secret).status_code == 200
    annotator.wait_until_quiet()
    assert annotator.workspace.current(clip)[5] == revision
    human = [r for r in annotator.workspace.revisions(clip, 5) if r.provenance.human]
    assert human == [revision]


def test_the_doctor_sees_that_sign_up_is_closed(annotator: Annotator) -> None:
    assert not is_signup_open(annotator.stack.studio.url)
    said = annotator.stack.run("doctor", check=False)
    assert "sign-up" not in said
    assert "secrets" not in said
