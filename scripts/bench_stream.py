"""Whether the next frame of the label stream has its newest mask, on a real Label Studio.

    python scripts/bench_stream.py VIDEO ... [--people N] [--submissions N] [--model NAME]

Each person does what the page does after `Label All Tasks`: submit, then ask for the next task.
Each mask is the one shown, moved by a few pixels, so that all frames which use it change. Measured
is the time from a submission until the next task can be worked on; and whether the mask that it was
opened with is still the frame's newest one five seconds later.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.cli.stack import Stack, running
from backend.settings import Settings
from backend.studio.annotation import from_result, to_result
from backend.studio.task_data import shown_revision
from labeler.clip import Scenario
from labeler.collect.candidates import Candidate
from labeler.collect.ingest import add_video
from labeler.workspace.workspace import Workspace
from tests.studio.annotator import Annotator, another_user

LATER = 5.0
"""Seconds after which the mask is compared with the newest one."""


@dataclass(frozen=True)
class Opened:
    """A task as the stream opened it: seconds since the submission, and what it showed."""

    seconds: float
    clip: str
    frame: int
    fresh: bool


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--submissions", type=int, default=40, help="by all people together")
    parser.add_argument("--model", default="pdnet-lite")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        for video in arguments.videos:
            add_video(workspace, Candidate.of(video, Scenario.INTERVIEW))
        with running(Settings(workspace=workspace.root), ["--model", arguments.model], print) as it:
            found = measured(it, workspace, arguments.people, arguments.submissions)
    seconds = [each.seconds for each in found]
    fresh = sum(each.fresh for each in found)
    p50, p90, most = np.percentile(seconds, [50, 90, 100])
    print(
        f"{arguments.people} at work, {len(found)} frames opened: {fresh} had the mask that was "
        f"the newest {LATER:.0f} s later; opened after p50 {p50:.2f} s, p90 {p90:.2f} s, at most "
        f"{most:.2f} s"
    )


def measured(stack: Stack, workspace: Workspace, people: int, submissions: int) -> list[Opened]:
    """Let people work at once until they have made so many submissions."""
    tokens = [stack.studio.login.token]
    tokens += [another_user(stack, f"person{each}@example.com") for each in range(1, people)]
    at_work = [Annotator(stack, workspace, token=token) for token in tokens]
    at_work[0].wait_until_quiet(1200)
    share = submissions // people
    with ThreadPoolExecutor(people) as threads:
        found = list(threads.map(lambda person: works(person, share), at_work))
    return [each for person in found for each in person]


def works(person: Annotator, count: int) -> list[Opened]:
    """Submit so many masks, each for the frame that the stream opens."""
    found: list[Opened] = []
    task = person.next_task()
    while len(found) < count:
        clip, frame = str(task["data"]["clip"]), int(task["data"]["frame"])
        mask = shown_mask(person, task)
        began = time.perf_counter()
        person.api.annotations.create(
            id=task["id"], result=to_result(np.roll(mask, 3, axis=1), f"{clip}-{frame}")
        )
        task = person.next_task()
        seconds = time.perf_counter() - began
        clip, frame = str(task["data"]["clip"]), int(task["data"]["frame"])
        mask = shown_mask(person, task)
        time.sleep(LATER)
        newest = shown_revision(person.workspace.revisions(person.workspace.clip(clip), frame))
        fresh = newest is not None and np.array_equal(person.workspace.read(newest), mask)
        found.append(Opened(seconds, clip, frame, fresh))
        print(f"{clip} {frame}: {seconds:.2f} s{'' if fresh else ', out of date'}", file=sys.stderr)
    return found


def shown_mask(person: Annotator, task: dict[str, Any]) -> Any:
    """The mask that a task was opened with; an empty one if it showed none."""
    size = person.sizes[str(task["data"]["clip"])]
    shown = task["predictions"]
    return from_result(shown[-1]["result"], *size).mask if shown else np.zeros(size, bool)


if __name__ == "__main__":
    main()
