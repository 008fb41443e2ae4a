"""A real Label Studio with the real service and worker, one set for each file of tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.cli.stack import running
from backend.settings import Settings
from backend.studio.local import install, tools_folder
from labeler.workspace.workspace import Workspace
from tests.studio.annotator import Annotator
from tests.workspaces import make_clip

SIZE = (180, 320)
"""Height and width of the made clips."""

FRAMES = 101


@pytest.fixture(scope="session", autouse=True)
def label_studio() -> Path:
    """Label Studio, installed. Never missing in CI; elsewhere skipped where there is no index."""
    folder = tools_folder()
    try:
        install(folder)
    except Exception as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Label Studio cannot be installed here: {error}")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace with two clips of a square that moves."""
    workspace = Workspace(tmp_path_factory.mktemp("studio") / "workspace")
    make_clip(workspace, "walk", FRAMES, SIZE)
    make_clip(workspace, "run", 31, SIZE)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def annotator(made: Workspace) -> Iterator[Annotator]:
    """Somebody who labels that workspace; predictions come by copying the nearest mask."""
    with running(Settings(workspace=made.root), ["--model", "copy"], print) as stack:
        person = Annotator(stack, made)
        person.wait_until_quiet()
        yield person
        person.studio.close()
