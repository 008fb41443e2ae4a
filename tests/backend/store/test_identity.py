"""Which workspace it is, and that it has one worker."""

import multiprocessing
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.store.facts import WORKER_ALIVE, Facts
from backend.store.identity import identity_of, only_worker, process_name
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace


def test_an_identity_is_made_once_and_moves_along(tmp_path):
    root = tmp_path / "one"
    with ThreadPoolExecutor(8) as pool:
        [identity] = set(pool.map(identity_of, [root] * 8))
    assert identity_of(root.rename(tmp_path / "two")) == identity
    assert identity_of(root) != identity
    (root / "identity").write_bytes(b"\xff")
    with pytest.raises(LabelerError, match="damaged; remove it"):
        identity_of(root)


def work(root, at_work, end):
    workspace = Workspace(root)
    facts = Facts(workspace.database)
    with only_worker(root, facts):
        facts.tell(WORKER_ALIVE, process_name())
        at_work.set()
        end.wait(60)


@pytest.mark.slow
def test_a_second_worker_is_refused_by_name_and_a_killed_one_is_no_obstacle(workspace):
    spawn = multiprocessing.get_context("spawn")
    at_work, end = spawn.Event(), spawn.Event()
    first = spawn.Process(target=work, args=(workspace.root, at_work, end))
    first.start()
    assert at_work.wait(60)
    facts = Facts(workspace.database)
    name = f"process {first.pid}"
    with pytest.raises(LabelerError, match=name), only_worker(workspace.root, facts):
        pass
    command = [sys.executable, "-m", "backend", "-w", str(workspace.root), "worker"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert name in said.stderr
    assert "Traceback" not in said.stderr
    first.kill()
    first.join()
    with only_worker(workspace.root, facts):
        pass
    with only_worker(workspace.root, facts):
        pass


def test_a_worker_on_another_machine_is_known_by_its_signs_of_life(workspace, monkeypatch):
    facts = Facts(workspace.database)
    facts.tell(WORKER_ALIVE, "gpu-box, process 7")
    with pytest.raises(LabelerError, match="gpu-box"), only_worker(workspace.root, facts):
        pass
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-box")
    with only_worker(workspace.root, facts):
        pass
