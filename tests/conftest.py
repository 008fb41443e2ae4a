"""What every test may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labeler.workspace.workspace import Workspace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that everything else fits beside it."""
    items.sort(key=lambda item: "studio" not in item.path.parts)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real pictures and clips of people, where they lie beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real clips (../shared/data) are not on this machine")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    opened = Workspace(tmp_path / "workspace")
    yield opened
    opened.close()
