"""Existing set-ups that show too much are found, each with its cure."""

import pytest

from backend.credentials import credentials
from backend.doctor import Health, examine
from backend.settings import Settings
from backend.studio.exposure import exposed_files
from backend.studio.local import LocalStudio
from tests.workspaces import make_clip


@pytest.fixture
def root(workspace):
    """A workspace as an earlier `mvps demo` left it."""
    make_clip(workspace)
    credentials(Settings(workspace=workspace.root))
    own = workspace.root / "label-studio"
    own.mkdir(mode=0o755)
    (own / "label_studio.sqlite3").touch(0o644)
    return workspace.root


def found(root, document_root=None):
    return [said for said, _ in exposed_files(root, document_root)]


def test_label_studios_files_that_others_can_read_are_found(root):
    [said] = found(root)
    assert f"can read {root / 'label-studio'}" in said
    studio = LocalStudio(root / "label-studio", root / "clips", 8080, root)
    assert found(root, studio.document_root) == []


def test_a_database_below_the_served_folder_is_found(root):
    (root / "label-studio").chmod(0o700)
    (root / "label-studio" / "label_studio.sqlite3").chmod(0o600)
    [said] = found(root, root)
    assert "with all tokens" in said
    both = found(root, root.parent)
    assert "credentials.json and mvps.db" in both[0]
    assert len(both) == 2


def test_secrets_that_others_can_read_are_found(root):
    (root / "credentials.json").chmod(0o644)
    assert any("credentials.json" in said for said in found(root))


@pytest.mark.slow
def test_doctor_names_them_with_the_cure(root):
    checks = [each for each in examine(Settings(workspace=root)) if each.name == "secrets"]
    assert {each.state for each in checks} == {Health.FAULT}
    assert "docs/security.md" in checks[-1].fix
