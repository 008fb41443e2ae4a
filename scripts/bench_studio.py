"""How long annotators wait, measured on a real Label Studio with the real service and worker.

    python scripts/bench_studio.py [--video FILE] [--model NAME] [--rounds N] [--json FILE]

The clip has 50 key frames. Measured is the time from a submission until the nearest refreshed
predictions can be read in Label Studio, and until all of them can. The latter without the worker's
time for masking is the tool's own share.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import cv2
import httpx
import numpy as np
import sqlalchemy as sa

from backend.cli.stack import Stack, running
from backend.credentials import SECRET_HEADER, credentials
from backend.settings import Settings
from backend.store import tables
from backend.store.jobs import JobLog, JobQueue
from backend.studio.annotation import to_result
from backend.studio.client import Studio
from backend.studio.projects import connected_project
from backend.studio.task_data import shown_revision
from labeler.clip import Clip, Scenario, frame_name
from labeler.collect.candidates import Candidate
from labeler.collect.ingest import add_video
from labeler.mask import Mask
from labeler.workspace.workspace import Workspace

KEY_FRAMES = 50
SIZE = (720, 1280)
START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Figure:
    """One measured number; `goal` is what it should stay below, where there is one."""

    name: str
    p50: float
    high: float
    unit: str
    goal: float | None = None


def main() -> None:
    """Measure, print, and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="a video to use instead of a generated clip")
    parser.add_argument("--model", default="pdnet-lite")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, default=Path("runs/bench_studio.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        clip = made_clip(workspace) if arguments.video is None else own(workspace, arguments.video)
        settings = Settings(workspace=workspace.root)
        with running(settings, ["--model", arguments.model], lambda text: print(text)) as stack:
            wait(lambda: is_idle(workspace, START), stack)
            figures = [*loop_figures(workspace, clip, stack, arguments.rounds)]
            figures += service_figures(workspace, clip, stack, settings)
    for each in figures:
        goal = "" if each.goal is None else f"   goal for the latter: {each.goal:g}"
        print(f"{each.name:62} {each.p50:8.1f} {each.high:8.1f} {each.unit}{goal}")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps([asdict(each) for each in figures], indent=2) + "\n")


def own(workspace: Workspace, video: Path) -> Clip:
    """Add a clip from the given video."""
    added = add_video(workspace, Candidate.of(video, Scenario.ENTERTAINMENT))
    return (*added.clips, *added.known)[0]


def made_clip(workspace: Workspace) -> Clip:
    """Generate a clip of a bright figure that walks over noise."""
    height, width = SIZE
    clip = Clip(
        "made", Scenario.NEWS, 5 * KEY_FRAMES, Fraction(25), width, height, "made", "0" * 64
    )
    rng = np.random.default_rng(0)
    noise = cv2.resize(rng.integers(0, 90, (90, 160, 3), np.uint8), (width, height))
    with workspace.scratch() as folder:
        (folder / "frames").mkdir()
        for frame in range(clip.frame_count):
            picture = noise.copy()
            picture[figure(frame, height, width)] += 150
            cv2.imwrite(str(folder / "frames" / f"{frame_name(frame)}.jpg"), picture)
        workspace.add_clip(clip, folder)
    return clip


def figure(frame: int, height: int, width: int) -> Mask:
    """Where the figure is in a frame."""
    mask = np.zeros((height, width), np.uint8)
    centre = (width // 4 + 2 * frame, height // 2)
    cv2.ellipse(mask, centre, (width // 14, height // 3), 0, 0, 360, 1, cv2.FILLED)
    return mask > 0


def loop_figures(workspace: Workspace, clip: Clip, stack: Stack, rounds: int) -> list[Figure]:
    """Time from a submission to refreshed predictions: in all, and without the masking itself."""
    studio = Studio(stack.studio.url, stack.studio.login.token)
    project = connected_project(workspace, studio.url)
    if project is None:
        raise AssertionError("the stack is connected")
    by_frame = {t.data["frame"]: t.id for t in studio.tasks(project)}
    seconds, beyond, first = [], [], []
    for turn in range(rounds):
        frame = clip.key_frames[(7 * turn + 3) % len(clip.key_frames)]
        mask = figure(frame + turn, clip.height, clip.width)
        before = len(workspace.revisions(clip))
        shown = shown_revisions(workspace, project, clip)
        began, clock = datetime.now(UTC), time.perf_counter()
        studio.client.annotations.create(id=by_frame[frame], result=to_result(mask, "bench"))
        submitted = time.perf_counter()
        wait(lambda old=shown: shown_revisions(workspace, project, clip) != old, stack)
        first.append(time.perf_counter() - submitted)
        wait(lambda since=began: is_shown(workspace, project, clip, since), stack)
        seconds.append(time.perf_counter() - submitted)
        jobs = [j for j in JobLog(workspace.database).latest(100) if j.started >= began]
        refreshed = [j for j in jobs if j.kind == "refresh" and j.ended is not None]
        masking = sum((j.ended - j.started).total_seconds() for j in refreshed)
        beyond.append(seconds[-1] - masking)
        frames = len(workspace.revisions(clip)) - before - 1
        print(
            f"frame {frame}: submit {submitted - clock:.2f} s, {frames} frames masked again, the "
            f"first {first[-1]:.2f} s, all {seconds[-1]:.2f} s, beyond masking {beyond[-1]:.2f} s",
            file=sys.stderr,
        )
        wait(lambda since=began: is_idle(workspace, since), stack)
    return [
        Figure(
            "submission to the nearest refreshed predictions, p50 and p95", *spread(first, 95), "s"
        ),
        Figure("submission to refreshed predictions, p50 and p95", *spread(seconds, 95), "s"),
        Figure("the same beyond masking, p50 and p95", *spread(beyond, 95), "s", 2.0),
    ]


def service_figures(
    workspace: Workspace, clip: Clip, stack: Stack, settings: Settings
) -> list[Figure]:
    """How long the service takes to answer while the worker is busy."""
    known = credentials(settings)
    studio = Studio(stack.studio.url, stack.studio.login.token)
    project = connected_project(workspace, studio.url)
    result = to_result(figure(9, clip.height, clip.width), "bench")
    client = httpx.Client(base_url=stack.backend, auth=(known.user, known.password))

    def submit(number: int) -> None:
        annotation = {
            "id": 10**6 + number,
            "project": project,
            "updated_at": datetime.now(UTC).isoformat(),
            "result": result,
            "completed_by": 1,
        }
        data = {"clip": clip.name, "frame": clip.key_frames[number % len(clip.key_frames)]}
        payload = {"action": "ANNOTATION_CREATED", "annotation": annotation, "task": {"data": data}}
        headers = {SECRET_HEADER: known.webhook_secret}
        client.post("/webhook", json=payload, headers=headers).raise_for_status()

    def timed(act: Callable[[int], object], count: int) -> list[float]:
        found = []
        for number in range(count):
            started = time.perf_counter()
            act(number)
            found.append(1000 * (time.perf_counter() - started))
            time.sleep(0.02)
        return found

    webhook = timed(submit, 200)  # and each keeps the worker busy
    health = timed(lambda _: client.get("/health").raise_for_status(), 200)
    return [
        Figure("webhook while the worker is busy, p50 and p99", *spread(webhook, 99), "ms", 50),
        Figure("/health while the worker is busy, p50 and p99", *spread(health, 99), "ms", 100),
    ]


def spread(values: list[float], percent: int) -> tuple[float, float]:
    """The median and a percentile."""
    return statistics.median(values), float(np.percentile(values, percent))


def shown_revisions(workspace: Workspace, project: int, clip: Clip) -> dict[int, int]:
    """The revisions that Label Studio shows, by key frame, as the worker recorded them."""
    with workspace.database.reading() as connection:
        rows = connection.execute(
            sa.select(tables.tasks.c.frame, tables.tasks.c.shown).filter_by(
                project=project, clip=clip.name
            )
        )
        return {row.frame: row.shown for row in rows}


def is_shown(workspace: Workspace, project: int, clip: Clip, since: datetime) -> bool:
    """Whether a clip was refreshed since a time and Label Studio has all predictions."""
    publishing = [j for j in JobLog(workspace.database).latest(100) if j.started > since]
    waiting = JobQueue(workspace.root).waiting()
    if not any(job.kind == "publish" for job in (*publishing, *waiting)):
        return False  # PUBLISH is asked for when no frame is left to mask
    by_frame = workspace.revisions_by_frame(clip)
    wanted = {f: shown_revision(r).number for f, r in by_frame.items()}
    shown = shown_revisions(workspace, project, clip)
    return len(shown) == len(clip.key_frames) and shown == wanted


def is_idle(workspace: Workspace, since: datetime) -> bool:
    """Whether the worker has published since a time, and no job waits."""
    done = JobLog(workspace.database).latest(100)
    told = any(job.kind == "publish" and job.ended and job.started > since for job in done)
    return told and not JobQueue(workspace.root).waiting()


def wait(until: Callable[[], bool], stack: Stack, seconds: float = 600.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            raise SystemExit(f"not done within {seconds:.0f} s; see {stack.log('worker')}")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
