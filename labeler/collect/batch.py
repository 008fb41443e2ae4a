"""Many videos at once: each becomes its clips, or a sentence on why not."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Event

from labeler.collect.candidates import Candidate
from labeler.collect.ingest import Added, Policy, add_video
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace

Progress = Callable[[int, int | None], None]
"""Is told the number of frames written, and the expected one."""

JOBS = max(1, min(8, (os.cpu_count() or 1) // 2))
"""One video keeps about two cores busy; each holds some decoded frames."""


class _StoppedError(Exception):
    """The others were told to stop."""


def add_all(
    workspace: Workspace,
    candidates: Sequence[Candidate],
    policy: Policy,
    jobs: int = JOBS,
    begun: Callable[[Candidate], Progress] | None = None,
) -> Iterator[tuple[Candidate, Added | str]]:
    """Take videos in, a few at a time, and tell of each as it is done: what came of it, or why not.

    No video stops the others. Ended early, by an interruption too, it stops those in work, which
    leave nothing behind; the next time goes on with what is missing.

    Args:
        workspace: where the clips go.
        candidates: the videos. One that would have an earlier one's name is not taken in.
        policy: how they are taken in.
        jobs: how many at a time; memory grows with it, and not with the number of videos.
        begun: called, in the threads at work, when a video is begun, for a progress of its own.
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
    except Exception as error:  # nobody foresaw it, and the other videos are none the worse
        return f"{candidate.path} could not be added ({type(error).__name__}: {error})."


def _same_name(candidate: Candidate, namesake: Candidate) -> str:
    if candidate.path == namesake.path:
        return f"{candidate.path} is named twice; remove one."
    return (
        f"{candidate.path} would be named {candidate.name!r} like {namesake.path}; give it another "
        "name, in the column `name` of a table."
    )
