"""The doctor names each fault between Label Studio, the service and the worker."""

import json

import pytest

from backend.credentials import SECRET_HEADER
from tests.studio.annotator import Annotator


def found(annotator: Annotator, **changed: str) -> dict[str, dict[str, str]]:
    """What the doctor says, by name, with some of its environment changed."""
    before = dict(annotator.stack.environment)
    annotator.stack.environment.update(changed)
    try:
        said = annotator.stack.run("doctor", "--json", check=False)
    finally:
        annotator.stack.environment.clear()
        annotator.stack.environment.update(before)
    return {check["name"]: check for check in json.loads(said)}


def test_nothing_is_wrong(annotator: Annotator) -> None:
    checks = found(annotator)
    names = ("service", "worker", "studio", "files", "backend", "webhook")
    assert {checks[name]["state"] for name in names} == {"fine"}


@pytest.mark.parametrize(
    ("name", "value", "check", "fix"),
    [
        ("LABEL_STUDIO_URL", "http://127.0.0.1:9", "studio", ""),
        ("LABEL_STUDIO_API_KEY", "0" * 40, "studio", "LABEL_STUDIO_API_KEY"),
        ("MVPS_BACKEND_URL", "http://127.0.0.1:9", "service", "mvps serve"),
        ("BASIC_AUTH_PASS", "another", "service", "BASIC_AUTH_PASS"),
        ("MVPS_WEBHOOK_SECRET", "another", "webhook", "studio connect"),
    ],
)
def test_a_fault_is_named_with_its_cure(
    annotator: Annotator, name: str, value: str, check: str, fix: str
) -> None:
    seen = found(annotator, **{name: value})[check]
    assert seen["state"] == "fault"
    assert fix in seen["fix"] + seen["found"]


def test_a_webhook_that_lost_its_secret_is_mended_by_connecting(annotator: Annotator) -> None:
    [hook] = annotator.api.webhooks.list(project=str(annotator.project))
    annotator.api.webhooks.update(hook.id, url=hook.url, headers={})
    assert found(annotator)["webhook"]["state"] == "fault"
    assert "set the secret" in annotator.stack.run("studio", "connect")
    [hook] = annotator.api.webhooks.list(project=str(annotator.project))
    assert SECRET_HEADER in (hook.headers or {})
    assert found(annotator)["webhook"]["state"] == "fine"
