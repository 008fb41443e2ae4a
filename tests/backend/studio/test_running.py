"""One demo for a workspace: others are told where it is."""

import json
import subprocess
import sys

import pytest

from backend.settings import Settings
from backend.studio.local import FOLDER, LOGIN
from backend.studio.running import ADDRESSES, Running, claimed, find_running, with_running
from labeler.errors import LabelerError

HERE = Running("http://127.0.0.1:8081", "http://127.0.0.1:9091", "/served", "/served/workspace")


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY", "MVPS_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / LOGIN).write_text(json.dumps({"email": "e", "password": "p", "token": "the-token"}))
    return Settings(workspace=tmp_path)


def test_a_second_demo_is_told_where_the_first_one_is(tmp_path):
    with claimed(tmp_path) as announce:
        with pytest.raises(LabelerError, match="is already starting"), claimed(tmp_path):
            pass
        assert find_running(tmp_path) is None
        announce(HERE)
        assert find_running(tmp_path) == HERE
        with pytest.raises(LabelerError, match=r"runs already: label at http://127.0.0.1:8081/, "):
            claimed(tmp_path).__enter__()
        with claimed(tmp_path / "another"):  # each workspace has its own
            assert find_running(tmp_path / "another") is None
    assert find_running(tmp_path) is None
    with claimed(tmp_path):
        assert find_running(tmp_path) is None  # the addresses of the last one are gone


def test_after_a_kill_the_workspace_is_free(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from backend.studio.running import *\n"
        "with claimed(Path(sys.argv[1])) as tell:\n"
        "    tell(Running('s', 'b', 'd', 'w')); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -9
    assert (tmp_path / FOLDER / ADDRESSES).exists()
    assert find_running(tmp_path) is None
    with claimed(tmp_path):
        pass


def test_commands_go_to_the_demo_that_runs(settings, tmp_path):
    assert with_running(settings) == settings
    with claimed(tmp_path) as announce:
        assert with_running(settings) == settings
        announce(HERE)
        found = with_running(settings)
        assert (found.studio_url, found.studio_key) == (HERE.studio, "the-token")
        assert (found.backend_url, str(found.document_root)) == (HERE.backend, "/served")
        assert str(found.studio_workspace) == "/served/workspace"
        assert (tmp_path / FOLDER / ADDRESSES).stat().st_mode & 0o077 == 0
    assert with_running(settings) == settings


def test_what_the_environment_names_is_left_alone(settings, tmp_path, monkeypatch):
    with claimed(tmp_path) as announce:
        announce(HERE)
        for name, value in (
            ("LABEL_STUDIO_API_KEY", "another-token"),
            ("LABEL_STUDIO_URL", "http://studio.example"),
        ):
            with monkeypatch.context() as only:
                only.setenv(name, value)
                named = Settings(workspace=tmp_path)
                assert with_running(named) == named
        (tmp_path / FOLDER / LOGIN).write_text("damaged")
        assert with_running(settings) == settings


def test_a_claim_waits_for_who_only_looks(tmp_path):
    """`find_running` holds the lock for a moment; that is no other demo."""
    looking = (
        "import sys, time; from pathlib import Path; from backend.studio.running import *\n"
        "print(flush=True); end = time.monotonic() + 3\n"
        "while time.monotonic() < end: find_running(Path(sys.argv[1]))"
    )
    with claimed(tmp_path):
        pass
    command = [sys.executable, "-c", looking, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(20):
            with claimed(tmp_path):
                pass
        process.kill()
