"""The commands for labeling in Label Studio: `serve`, `worker` and `studio ...`."""

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.cli.options import Device, Model, load, opened
from backend.settings import Settings
from labeler.console import say
from labeler.errors import LabelerError
from labeler.workspace.workspace import Workspace

if TYPE_CHECKING:
    from backend.studio.client import Studio
    from backend.studio.connect import Place
    from backend.studio.sync import StudioSync

HEARTBEAT = 5.0
"""Seconds between two signs of life of the worker."""

studio = typer.Typer(
    help="Make the projects in Label Studio, and bring them up to date.", no_args_is_help=True
)


def serve(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 also serves other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 9090,
    threads: Annotated[int, typer.Option(min=1, help="Requests answered at once.")] = 8,
) -> None:
    """Run the service: it answers Label Studio and shows the status page."""
    from backend.credentials import credentials
    from backend.service.listening import listening
    from backend.service.plugin import Service
    from backend.service.server import create_app

    settings: Settings = context.obj
    _log()
    with opened(context):
        pass  # repairs what a killed process left
    app = create_app(Service.opened(settings), credentials(settings))
    say(f"status page: http://{host}:{port}/ (user and password: {_where(settings)})")
    listening(app, host, port, threads).run()


def worker(context: typer.Context, model: Model = None, device: Device = None) -> None:
    """Run the worker: it records submissions, masks frames, and sends masks to Label Studio."""
    from backend.store.facts import WORKER_ALIVE, Facts
    from backend.store.identity import only_worker, process_name
    from backend.store.inbox import Inbox
    from backend.store.jobs import JobQueue
    from backend.work.submissions import Submissions
    from backend.work.training_runs import Retrainer
    from backend.work.worker import Champion, Worker

    settings: Settings = context.obj
    _log()
    with opened(context) as workspace, only_worker(workspace.root, Facts(workspace.database)):
        champion = Champion(
            workspace.root / "models",
            lambda name: load(context, workspace, name, device),
            model or settings.model,
        )
        inbox, facts = Inbox(workspace.database), Facts(workspace.database)
        api = _api(settings) if settings.studio_key else None
        author_of = api.author if api else "user {}".format
        submissions = Submissions(workspace, inbox, author_of, settings.thresholds, api)
        ended = threading.Event()

        def beat() -> None:
            while not ended.is_set():
                facts.tell(WORKER_ALIVE, process_name())
                ended.wait(HEARTBEAT)

        threading.Thread(target=beat, name="heartbeat", daemon=True).start()
        queue = JobQueue(workspace.root, settings.queue_url)

        def find_sync() -> "StudioSync | None":
            version = champion().model_version
            return None if api is None else _sync(workspace, settings, api, version)

        where = settings.studio_url if api else "no Label Studio"
        say(f"worker: {champion().model_version}, {where}")
        try:
            retrainer = Retrainer(workspace, settings)
            made = Worker(workspace, champion, queue, submissions, find_sync, retrainer)
            made.run(settings.fetch_seconds)
        finally:
            ended.set()


@studio.command()
def connect(
    context: typer.Context,
    backend: Annotated[
        str | None, typer.Option(help="Address at which Label Studio reaches `mvps serve`.")
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="Take projects of this title from another workspace."),
    ] = False,
) -> None:
    """Make or update the projects, their tasks, backend and webhooks.

    A second run changes nothing.
    """
    from backend.credentials import credentials
    from backend.studio.connect import connect as connect_projects
    from backend.studio.projects import plans
    from backend.studio.running import with_running

    settings = with_running(context.obj)
    if backend is not None:
        settings = settings.model_copy(update={"backend_url": backend.rstrip("/")})
    with opened(context) as workspace:
        api = _api(settings)
        changes = connect_projects(
            workspace, api, plans(settings), _place(settings), credentials(settings), take_over
        )
        sync = _sync(workspace, settings, api, "")
        if sync is None:
            raise AssertionError("the project was just made")
        added = sync.add_missing_tasks()
        if added:
            changes.append(f"Added {added} tasks.")
        for change in changes or ["Everything is as it should be."]:
            say(change)
        say(f"{settings.studio_url.rstrip('/')}/projects/{sync.project}/data")


@studio.command(name="sync")
def sync_command(context: typer.Context) -> None:
    """Fetch annotations that the service missed, and send new masks to Label Studio."""
    from backend.service.plugin import NO_MODEL
    from backend.store.facts import MODEL_VERSION, Facts
    from backend.store.inbox import Inbox
    from backend.store.jobs import Job, JobKind, JobQueue
    from backend.studio.running import with_running
    from backend.work.submissions import Submissions

    settings = with_running(context.obj)
    with opened(context) as workspace:
        api = _api(settings)
        told = Facts(workspace.database).get(MODEL_VERSION)
        sync = _sync(workspace, settings, api, told[0] if told else NO_MODEL)
        if sync is None:
            raise LabelerError("There is no project yet; run `mvps studio connect` first.")
        fetched = sync.fetch()
        inbox = Inbox(workspace.database)
        clips = Submissions(workspace, inbox, api.author, settings.thresholds, api).take_all()
        published = sum(sync.publish(clip) for clip in workspace.clips())
        queue = JobQueue(workspace.root, settings.queue_url)
        for clip in clips:
            queue.ask(Job(JobKind.REFRESH, clip))
        say(f"fetched {fetched} submissions, published {published} predictions")


def _api(settings: Settings) -> "Studio":
    from backend.studio.client import Studio

    if not settings.studio_key:
        raise LabelerError(
            "LABEL_STUDIO_API_KEY is not set; copy a token from Label Studio's Account & Settings. "
            "No demo runs on this workspace, either."
        )
    return Studio(settings.studio_url.rstrip("/"), settings.studio_key)


def _sync(
    workspace: Workspace, settings: Settings, api: "Studio", model_version: str
) -> "StudioSync | None":
    from backend.store.inbox import Inbox
    from backend.studio.projects import Role, connected_projects, plans
    from backend.studio.review_sync import BlindSync, CheckSync, DecideSync
    from backend.studio.sync import LabelingSync, ProjectSync, StudioSync
    from labeler.workspace.troubles import Troubles

    projects = connected_projects(workspace, api.url)
    if Role.LABELING not in projects:
        return None
    inbox, prefix = Inbox(workspace.database), _place(settings).prefix
    common = workspace, inbox, api
    wanted = {plan.role for plan in plans(settings)} & projects.keys()
    others: list[ProjectSync] = []
    if Role.CHECK in wanted:
        others.append(CheckSync(*common, projects[Role.CHECK], prefix))
    if Role.BLIND in wanted:
        share = None if settings.check == "blind" else settings.audit_share
        others.append(BlindSync(*common, projects[Role.BLIND], prefix, share))
    if Role.DECIDE in wanted:
        others.append(DecideSync(*common, projects[Role.DECIDE], prefix))
    labeling = LabelingSync(*common, projects[Role.LABELING], prefix, model_version)
    return StudioSync(Troubles(workspace.database), labeling, others)


def _place(settings: Settings) -> "Place":
    from backend.studio.connect import Place

    own = settings.workspace.resolve()
    seen = settings.studio_workspace or own
    return Place(settings.backend_url.rstrip("/"), settings.document_root or seen, seen)


def _where(settings: Settings) -> str:
    if settings.basic_auth_pass:
        return "BASIC_AUTH_USER and BASIC_AUTH_PASS"
    from backend.credentials import FILE

    return str(Path(settings.workspace) / FILE)


def _log() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    for quiet in ("httpx", "huey"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
