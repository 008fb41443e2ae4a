"""Adds many videos at once: each gives its clips, or a sentence that says why not."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from threading import Event

from labeler.collect.ingest import Added, Policy, add_video, unforeseen
from labeler.collect.video_plan import Fate, PlannedVideo
from labeler.errors import LabelerError, NoRoomError
from labeler.threads import CORES
from labeler.workspace.workspace import Workspace

Progress = Callable[[int, int | None], None]
"""Called with (frames written, frames expected); the second is None if it is unknown."""

JOBS = max(1, CORES // 2)
"""How many videos are added at once. One keeps about two cores busy, and each holds some decoded
frames in memory."""


class _StoppedError(Exception):
    """The caller has stopped the work, so this video is given up."""


def add_all(
    workspace: Workspace,
    plan: Sequence[PlannedVideo],
    policy: Policy,
    jobs: int = JOBS,
    begun: Callable[[int], Progress] | None = None,
) -> Iterator[tuple[int, Added | str]]:
    """Add the videos of a plan, a few at a time; yield each when it is done, by its place in it.

    With it comes the result, or a sentence on why it was not added. A video that fails does not
    stop the others. If the caller stops early, also by an interruption, the videos in progress stop
    and leave nothing behind; the next call adds what is missing.

    Args:
        workspace: where the clips go.
        plan: see `plan_videos`.
        policy: how they are added.
        jobs: how many at a time; memory grows with it, and not with the number of videos.
        begun: called in a worker thread with the place of a video that is begun; returns that
            video's progress function. Errors of either are ignored, as they only show the work.

    Raises:
        NoRoomError: the disk is full; the videos that are done are in.
    """
    stop = Event()

    def add(place: int) -> Added:
        tell: Progress | None = None
        with suppress(Exception):
            tell = None if begun is None else begun(place)

        def progress(done: int, total: int | None) -> None:
            if stop.is_set():
                raise _StoppedError
            if tell is not None:
                with suppress(Exception):
                    tell(done, total)

        return add_video(workspace, plan[place].candidate, policy, progress)

    work: dict[Future[Added], int] = {}
    with ThreadPoolExecutor(jobs, "add") as pool:
        try:
            for place, planned in enumerate(plan):
                if planned.fate is Fate.COMES_IN:
                    work[pool.submit(add, place)] = place
            for place, planned in enumerate(plan):
                if planned.fate is Fate.LEFT_OUT:
                    yield place, planned.reason
                elif planned.fate is Fate.KNOWN:
                    yield place, Added(known=planned.known)
            for done in as_completed(work):
                yield work[done], _outcome(done, plan[work[done]])
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _outcome(done: Future[Added], planned: PlannedVideo) -> Added | str:
    try:
        return done.result()
    except NoRoomError:
        raise
    except LabelerError as error:
        return str(error)
    except Exception as error:  # an unforeseen error of one video must not stop the others
        return unforeseen(planned.candidate, error)
