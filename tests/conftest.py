"""What every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from labeler.workspace.workspace import Workspace

TESTS = Path(__file__).parent

SLOW = {"shared_data", "mvps"}
"""Fixtures of slow tests: real clips are large, and each command is a process that starts anew."""

# `--hypothesis-profile quick`: fewer examples of each property that names no number of its own.
settings.register_profile("quick", max_examples=20)
# `--hypothesis-profile thorough`: to be run once where the readers of datasets were changed.
settings.register_profile("thorough", max_examples=10_000, deadline=None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is all of one kind, and begin with the longest tests.

    So everything else fits beside them.
    """
    for item in items:
        if item.path.is_relative_to(TESTS / "studio"):
            item.add_marker("studio")
        if SLOW & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("studio") is None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real pictures and clips of people, where they lie beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real clips (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """Small datasets and files that other tools wrote, where they lie beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "cases"
    if not folder.is_dir():
        pytest.skip("the cases of other tools (../shared/cases) are not on this machine")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    opened = Workspace(tmp_path / "workspace")
    yield opened
    opened.close()
