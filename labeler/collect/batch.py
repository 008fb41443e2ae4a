"""Adds many videos at once: each gives its clips, or a sentence that says why not."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Event

from labeler.collect.candidates import Candidate
from labeler.collect.ingest import Added, Policy, add_video
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace

Progress = Callable[[int, int | None], None]
"""Called with (frames written, frames expected); the second is None if it is unknown."""

JOBS = max(1, min(8, (os.cpu_count() or 1) // 2))
"""How many videos are added at once. One keeps about two cores busy, and each holds some decoded
frames in memory."""


class _StoppedError(Exception):
    """The caller has stopped the work, so this video is given up."""


def add_all(
    workspace: Workspace,
    candidates: Sequence[Candidate],
    policy: Policy,
    jobs: int = JOBS,
    begun: Callable[[Candidate], Progress] | None = None,
) -> Iterator[tuple[Candidate, Added | str]]:
    """Add videos, a few at a time; yield each one as it is done, with its result or its error.

    A video that fails does not stop the others. If the caller stops early, also by an interruption,
    the videos in progress stop and leave nothing behind; the next call adds what is missing.

    Args:
        workspace: where the clips go.
        candidates: the videos. A video that would get the name of an earlier one is not added.
        policy: how they are added.
        jobs: how many at a time; memory grows with it, and not with the number of videos.
        begun: called in a worker thread when a video is begun; returns that video's progress
            function.
    """
    stop = Event()

    def add(candidate: Candidate) -> Added:
        tell = None if begun is None else begun(candidate)

        def progress(done: int, total: int | None) -> None:
            if stop.is_set():
                raise _StoppedError
            if tell is not None:
                tell(done, total)

        return add_video(workspace, candidate, policy, progress)

    first: dict[str, Candidate] = {}
    work: dict[Future[Added], Candidate] = {}
    with ThreadPoolExecutor(jobs, "add") as pool:
        try:
            for candidate in candidates:
                namesake = first.setdefault(candidate.name, candidate)
                if namesake is candidate:
                    work[pool.submit(add, candidate)] = candidate
                else:
                    yield candidate, _same_name(candidate, namesake)
            for done in as_completed(work):
                yield work[done], _outcome(done, work[done])
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _outcome(done: Future[Added], candidate: Candidate) -> Added | str:
    try:
        return done.result()
    except LabelerError as error:
        return str(error)
    except Exception as error:  # an unforeseen error of one video must not stop the others
        return f"{candidate.path} could not be added ({type(error).__name__}: {error})."


def _same_name(candidate: Candidate, namesake: Candidate) -> str:
    if candidate.path == namesake.path:
        return f"{candidate.path} is named twice; remove one."
    return (
        f"{candidate.path} would be named {candidate.name!r} like {namesake.path}; give it another "
        "name, in the column `name` of a table."
    )
