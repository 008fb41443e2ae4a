"""The database on a real PostgreSQL, which is killed in between."""

import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from backend.store import tables
from backend.store.inbox import EventState, Inbox
from backend.work.submissions import Submissions
from labeler.errors import LabelerError
from labeler.revision import Draft
from labeler.workspace.integrity import open_workspace
from labeler.workspace.tables import DatabaseAwayError
from labeler.workspace.workspace import Workspace
from tests.backend.webhooks import submission
from tests.workspaces import make_clip, square

pytest.importorskip("psycopg")
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="PostgreSQL is not installed"),
]


class Server:
    """A PostgreSQL of its own, as a user that is not root."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.folder = PROGRAMS[-1].parent, folder
        self.user = "postgres" if os.geteuid() == 0 else None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        folder.mkdir(mode=0o700)
        if self.user:
            shutil.chown(folder, self.user)
        self.run("initdb", "-D", str(folder), "-U", "mvps", "-A", "trust", "-N")

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), *arguments]
        subprocess.run(
            command, user=self.user, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=60
        )

    def start(self) -> None:
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder), "-l", log, "-o", options, "-w", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder), "-m", "immediate", "stop")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://mvps@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server():
    """Below /tmp, since another user must reach it."""
    folder = Path(f"/tmp/mvps-postgres-{os.getpid()}")
    made = Server(folder)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workspace(server, tmp_path):
    engine = sa.create_engine(server.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.dispose()
    opened = Workspace(tmp_path / "workspace", server.url)
    yield opened
    opened.close()


def test_two_workers_record_no_submission_twice(workspace, server):
    clip = make_clip(workspace)
    inbox = Inbox(workspace.database)
    for number in range(1, 41):
        frame = 5 * (number % 4)
        inbox.put(submission(square(number % 20), annotation=number, frame=frame, at=number))

    def take(_: int) -> None:
        own = Workspace(workspace.root, server.url)
        Submissions(own, Inbox(own.database), "user {}".format).take_all()
        own.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(take, range(3)))
    recorded = [each.annotation for each in workspace.revisions(clip)]
    assert sorted(recorded) == sorted({f"uuid-{number}" for number in range(1, 41)})
    assert inbox.counted() == {EventState.DONE: 40}


def test_large_numbers_of_annotations_are_kept(workspace, server):
    make_clip(workspace)
    inbox = Inbox(workspace.database)
    with workspace.database.writing() as connection:  # as an earlier version made it
        for table in ("events", "annotations"):
            statement = f"ALTER TABLE {table} ALTER COLUMN annotation TYPE INTEGER"
            connection.exec_driver_sql(statement)
    workspace.database.complete(tables.metadata)
    assert inbox.put(submission(square(1), annotation=(1 << 31) + 7)) == 1
    assert Submissions(workspace, inbox, "user {}".format).take_all() == {"walk"}


def test_odd_text_is_kept(workspace, server):
    clip = make_clip(workspace)
    workspace.record(clip, 5, square(1), Draft("a\x00b\udcfc", reason="\ud800"))
    again, notices = open_workspace(workspace.root, server.url)
    assert (notices, again.current(clip)[5].author) == ([], "a bü")
    again.close()


def test_a_server_that_is_killed_loses_nothing_and_is_told(workspace, server):
    clip = make_clip(workspace)
    workspace.record(clip, 5, square(1), Draft("ann"))
    server.stop()
    with pytest.raises(DatabaseAwayError, match="does not answer; start it") as told:
        workspace.record(clip, 10, square(2), Draft("ann"))
    assert "\n" not in str(told.value)
    with pytest.raises(LabelerError, match="does not answer"):
        Workspace(workspace.root, server.url)
    server.start()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            again, notices = open_workspace(workspace.root, server.url)
            break
        except DatabaseAwayError:
            time.sleep(0.2)
    assert len(notices) == 1
    assert {each.frame for each in again.revisions(clip)} == {5, 10}
    again.close()
