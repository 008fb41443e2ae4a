"""The whole circle once: annotate, accept, retrain, promote, look, and go back."""

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from backend.cli.stack import running
from backend.settings import Settings
from backend.studio.projects import Role
from backend.work.training_runs import Phase, runs
from labeler.mask import mask_digest
from labeler.revision import Provenance
from labeler.workspace.workspace import Workspace
from tests.accepted import accepted_clip, figure
from tests.browser import browser
from tests.studio.annotator import Annotator, another_user
from tests.tiny import SIDE, tiny_champion

SMALL = {
    "MVPS_TRAIN_STEPS": "12",
    "MVPS_TRAIN_SIZE": str(SIDE),
    "MVPS_TRAIN_BATCH": "2",
    "MVPS_TRAIN_RATE": "1e-3",
    "MVPS_JUDGE_CLIPS": "2",
    "MVPS_RETRAIN_MASKS": "0",
    "MVPS_DEVICE": "cpu",
}
SEED = 7


def opened(page: Page, annotator: Annotator, at: tuple[str, int]) -> list[Any]:
    """Open a frame's task in the browser, and return the predictions that the editor was given."""
    task = annotator.tasks[at]
    address = f"{annotator.stack.studio.url}/projects/{annotator.project}/data?task={task}"
    with page.expect_response(lambda answer: f"/api/tasks/{task}" in answer.url) as given:
        page.goto(address)
    expect(page.locator("img[alt=image]").first).to_be_visible(timeout=60_000)
    return [each["result"][0]["value"] for each in given.value.json()["predictions"]]


@pytest.mark.browser
@pytest.mark.training
def test_better_weights_come_and_go_in_label_studio(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    for seed in range(1, 6):
        accepted_clip(workspace, f"clip{seed}", seed)
    clip = accepted_clip(workspace, "new", SEED, masked=False)
    registry = tiny_champion(workspace)
    first = registry.champion
    assert first is not None
    with mock.patch.dict(os.environ, SMALL):
        settings = Settings(workspace=workspace.root)
        with running(settings, [], print) as stack, browser() as chromium:
            ann = Annotator(stack, workspace)
            ann.wait_until_quiet(240)
            submitted = figure(0, SEED)
            ann.submit("new", 0, submitted)
            ann.wait_until_quiet(240)

            bob = another_user(stack, "bob@localhost.example")
            checker = Annotator(stack, workspace, Role.CHECK, bob)
            checker.until(lambda: checker.look_again() or len(checker.tasks) == 1, "a check", 60)
            checker.submit("new", 0, submitted)
            checker.wait_until_quiet(240)
            assert workspace.current(clip)[0].provenance is Provenance.ACCEPTED
            before = {frame: ann.predictions("new", frame)[0] for frame in (5, 10)}
            assert {ann.data("new", frame)["weights"] for frame in (5, 10)} == {first}

            (backend,) = ann.api.ml.list(project=ann.project)
            assert backend.id is not None
            ann.api.ml.train(backend.id)  # what the button Start training does

            def concluded() -> bool:
                return any(run.state.stage.ended for run in runs(workspace.root))

            ann.until(concluded, "a verdict", 280)
            state = runs(workspace.root)[0].state
            assert state.stage is Phase.PROMOTED, state.sentence
            second = state.candidate
            assert registry.champion == second != first

            def all_by(version: str) -> bool:
                return {ann.data("new", frame)["weights"] for frame in (5, 10)} == {version}

            ann.until(lambda: all_by(second), "predictions of the new weights", 120)
            np.testing.assert_array_equal(workspace.read(workspace.current(clip)[0]), submitted)

            page = chromium.new_context(viewport={"width": 1600, "height": 1000}).new_page()
            page.set_default_timeout(60_000)
            page.goto(f"{stack.studio.url}/user/login")
            page.fill("input[name=email]", stack.studio.login.email)
            page.fill("input[name=password]", stack.studio.login.password)
            page.click("button[type=submit]")
            page.wait_for_url(lambda url: "login" not in url)
            (now,) = ann.predictions("new", 10)
            assert opened(page, ann, ("new", 10)) == [now.result[0]["value"]]

            kept = json.loads((workspace.root / "credentials.json").read_text())
            login = {"username": kept["user"], "password": kept["password"]}
            status = chromium.new_context(http_credentials=login).new_page()
            status.goto(stack.backend)
            expect(status.get_by_text(state.sentence).first).to_be_visible()
            status.get_by_role("link", name="Report").click()
            expect(status.get_by_role("heading", name="worst frames")).to_be_visible()
            status.goto(stack.backend)
            status.get_by_role("button", name="Roll back").click()
            ann.until(lambda: all_by(first), "the predictions from before", 120)
            for frame, prediction in before.items():
                (again,) = ann.predictions("new", frame)
                assert again.result[0]["value"] == prediction.result[0]["value"]
            assert mask_digest(workspace.read(workspace.current(clip)[0])) == mask_digest(submitted)
            assert opened(page, ann, ("new", 10)) == [before[10].result[0]["value"]]
            for person in (ann, checker):
                person.studio.close()
    workspace.close()
