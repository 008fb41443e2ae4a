import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.credentials import FILE, credentials
from backend.settings import Settings
from labeler.errors import LabelerError


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("MVPS_", "LABEL_STUDIO_", "BASIC_AUTH_")):
            monkeypatch.delenv(name)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "workspace"


def test_secrets_are_made_once_and_only_their_owner_can_read_them(root):
    before = os.umask(0)
    try:
        made = credentials(Settings(workspace=root))
    finally:
        os.umask(before)
    assert stat.S_IMODE((root / FILE).stat().st_mode) == 0o600
    assert [path.name for path in root.iterdir()] == [FILE]
    assert made.user == "mvps"
    assert len({made.password, made.webhook_secret}) == 2
    assert min(len(made.password), len(made.webhook_secret)) >= 32
    assert credentials(Settings(workspace=root)) == made
    assert credentials(Settings(workspace=root.with_name("other"))) != made


def test_whoever_starts_at_once_has_the_same_secrets(root):
    for turn in range(5):
        settings = Settings(workspace=root / str(turn))
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(credentials, [settings] * 8))
        assert len({(each.password, each.webhook_secret) for each in made}) == 1
        assert [path.name for path in settings.workspace.iterdir()] == [FILE]


def test_what_is_set_counts_and_the_rest_is_kept(root, monkeypatch):
    kept = credentials(Settings(workspace=root))
    monkeypatch.setenv("BASIC_AUTH_USER", "studio")
    monkeypatch.setenv("BASIC_AUTH_PASS", "from outside")
    set_outside = credentials(Settings(workspace=root))
    assert (set_outside.user, set_outside.password) == ("studio", "from outside")
    assert set_outside.webhook_secret == kept.webhook_secret
    monkeypatch.setenv("MVPS_WEBHOOK_SECRET", "hook")
    assert credentials(Settings(workspace=root)).webhook_secret == "hook"
    for name in ("BASIC_AUTH_USER", "BASIC_AUTH_PASS", "MVPS_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, "")  # set to nothing is not set
    assert credentials(Settings(workspace=root)) == kept
    assert "from outside" not in (root / FILE).read_text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"user": "mvps"}', "\0", '{"a": 1}', "null"])
def test_a_damaged_file_is_named(root, text):
    root.mkdir()
    (root / FILE).write_text(text)
    with pytest.raises(LabelerError, match=rf"{FILE} cannot be read .* delete it"):
        credentials(Settings(workspace=root))


def test_no_secret_is_shown_by_accident(root, monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret-1")
    monkeypatch.setenv("BASIC_AUTH_PASS", "secret-2")
    monkeypatch.setenv("MVPS_WEBHOOK_SECRET", "secret-3")
    monkeypatch.setenv("MVPS_DATABASE_URL", "postgresql://mvps:secret-4@db/mvps")
    monkeypatch.setenv("MVPS_QUEUE_URL", "redis://:secret-5@queue")
    settings = Settings(workspace=root)
    shown = credentials(settings)
    assert (settings.studio_key, shown.password) == ("secret-1", "secret-2")
    for each in (settings, shown):
        assert "secret-" not in f"{each!r} {each} {[each]}"
    assert json.loads((root / FILE).read_text())["password"] not in repr(shown)
