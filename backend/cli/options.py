"""What the commands share: their options, the workspace they open, the engine they load."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from backend.settings import Settings
from labeler.clip import Clip
from labeler.console import note
from labeler.errors import LabelerError
from labeler.workspace.integrity import open_workspace
from labeler.workspace.workspace import Workspace

if TYPE_CHECKING:
    from backend.store.jobs import Job, JobQueue
    from model.segmenter import Segmenter

# Modules that import torch (2 s) or decode video are imported by the functions that need them.

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")]
Device = Annotated[str | None, typer.Option(help="auto (default), cpu, cuda or cuda:N.")]
Model = Annotated[
    str | None,
    typer.Option(
        help="A folder with weights, a version, a bundled model or a baseline. Default: the "
        "champion, or else the bundled model."
    ),
]
ClipName = Annotated[str, typer.Argument(metavar="CLIP", help="Name of the clip.")]
ClipNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CLIP]...", help="Names of clips. Default: all.", show_default=False),
]


@contextmanager
def opened(context: typer.Context) -> Iterator[Workspace]:
    """Open the workspace that the command line or the environment names, and repair it."""
    settings: Settings = context.obj
    workspace, notices = open_workspace(settings.workspace, settings.database_url)
    for notice in notices:
        note(notice)
    try:
        yield workspace
    finally:
        workspace.close()


def chosen(workspace: Workspace, names: list[str] | None) -> list[Clip]:
    """Return the clips of these names, or all clips; having none is an error."""
    clips = [workspace.clip(name) for name in names] if names else workspace.clips()
    if not clips:
        raise LabelerError(
            f"{workspace.root} has no clips yet; add one with `mvps add VIDEO --scenario S`."
        )
    return clips


def tell_worker(context: typer.Context, clip: Clip) -> None:
    """Ask the worker, if there ever was one, to send a clip's new masks to Label Studio."""
    from backend.store.jobs import Job, JobKind

    ask_worker(context, Job(JobKind.PUBLISH, clip.name))


def ask_worker(context: typer.Context, job: "Job") -> None:
    """Ask the worker, if there ever was one, to do a job."""
    from backend.store.jobs import QueueAwayError

    try:
        if (queue := _queue(context)) is not None:
            queue.ask(job)
    except QueueAwayError as error:  # what the command was for is done
        note(str(error))


def waiting_jobs(context: typer.Context) -> "list[Job]":
    """Return the jobs that wait for the worker; none if there never was one."""
    from backend.store.jobs import QueueAwayError

    try:
        queue = _queue(context)
        return [] if queue is None else queue.waiting()
    except QueueAwayError as error:
        note(str(error))
        return []


def _queue(context: typer.Context) -> "JobQueue | None":
    from backend.store.jobs import JobQueue

    settings: Settings = context.obj
    if settings.queue_url or (settings.workspace / "queue.db").exists():
        return JobQueue(settings.workspace, settings.queue_url)
    return None


def load(
    context: typer.Context, workspace: Workspace, model: str | None, device: str | None
) -> "Segmenter":
    """Load the engine that the command line names, else the champion, else the bundled one."""
    from model.loading import load_segmenter

    settings: Settings = context.obj
    segmenter, card = load_segmenter(
        model,
        device=device or settings.device,
        batch_size=settings.batch_size,
        models=workspace.root / "models",
    )
    if not card.trained:
        note(
            f"{card.model_version} has learnt nothing yet: its masks are noise. "
            "Give trained weights with --model FOLDER."
        )
    return segmenter
